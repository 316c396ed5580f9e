"""Progress on a terminal: a bar with rate and time left; elsewhere one line a stage."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tqdm import tqdm


class TerminalProgress:
    """Speaks on standard error."""

    def __init__(self) -> None:
        self._bar: tqdm[None] | None = None

    def start(self, label: str, total: int, unit: str) -> None:
        """Show a stage's bar, or its name where there is no terminal."""
        if not sys.stderr.isatty():
            print(f"{label} …", file=sys.stderr, flush=True)
            return
        from tqdm import tqdm

        scale = unit == "B"
        self._bar = tqdm(
            total=total or None,
            desc=label,
            unit=unit,
            unit_scale=scale,
            unit_divisor=1000,
            file=sys.stderr,
            leave=False,
            dynamic_ncols=True,
        )

    def advance(self, n: int) -> None:
        """Move the bar."""
        if self._bar is not None:
            self._bar.update(n)

    def note(self, text: str) -> None:
        """Show a state behind the bar, or a notice on a line of its own where no bar is."""
        if self._bar is not None:
            self._bar.set_postfix_str(text)
        elif sys.stderr.isatty():
            print(text, file=sys.stderr, flush=True)

    def end(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
