"""What a list of languages can go on with: in shells and at the prompt alike."""

from __future__ import annotations

from collections.abc import Sequence


def offered_languages(languages: Sequence[str], incomplete: str) -> list[str]:
    """Return what a list of languages, begun, can go on with: each one not named yet, in place of its last part."""
    before, comma, begun = incomplete.rpartition(",")
    begun = begun.strip()
    named = {part.strip().lower() for part in before.split(",")}
    return [
        f"{before}{comma}{lang}"
        for lang in languages
        if lang.lower().startswith(begun.lower()) and lang.lower() not in named
    ]
