"""Where in a paged or timed source something is: ``page=3``, ``slide=4``, ``chapter=2``, ``t=61.5``.

Written as in the fragment of an address. Source: Media Fragments URI 1.0 (W3C) for ``t``; RFC 8118 for ``page`` of PDF.
"""

from __future__ import annotations

import re

_LOCATOR = re.compile(r"(page|slide|chapter)=([0-9]{1,9})|(t)=([0-9]{1,9}(?:\.[0-9]{1,6})?)", re.ASCII)
_SHORT = {"page": "p.", "slide": "slide", "chapter": "ch."}


def number_of(locator: str, kind: str) -> float | None:
    """Return the number of a locator of a kind (``page``, ``slide``, ``chapter`` or ``t``), None of another one."""
    found = _LOCATOR.fullmatch(locator)
    if not found or (found.group(1) or found.group(3)) != kind:
        return None
    return float(found.group(2) or found.group(4))


def told_locator(locator: str) -> str:
    """Return a locator for people: "p. 3", "slide 4", "ch. 2", "1:01", "1:02:03"; "" for what is none."""
    for kind, short in _SHORT.items():
        number = number_of(locator, kind)
        if number is not None:
            return f"{short} {number:.0f}"
    seconds = number_of(locator, "t")
    if seconds is None:
        return ""
    minutes, left = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{left:02}" if hours else f"{minutes}:{left:02}"
