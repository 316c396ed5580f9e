"""The seam through which long work tells how far it is. Silent unless the caller passes something that speaks."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives the progress of one stage after another."""

    def start(self, label: str, total: int, unit: str) -> None:
        """Begin a stage.

        Args:
            label: What is done in it.
            total: How many units it has; 0 when that is not known.
            unit: What is counted; "B" for bytes.
        """

    def advance(self, n: int) -> None:
        """Tell that ``n`` more units are done."""

    def note(self, text: str) -> None:
        """Tell one line beside the stage: a notice, or the state of the work."""

    def end(self) -> None:
        """End the stage."""


class Silent:
    """Says nothing: the default of the library."""

    def start(self, label: str, total: int, unit: str) -> None:
        """Ignore the stage."""

    def advance(self, n: int) -> None:
        """Ignore the advance."""

    def note(self, text: str) -> None:
        """Ignore the note."""

    def end(self) -> None:
        """Ignore the end."""


SILENT = Silent()
