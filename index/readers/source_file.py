"""A file that was found and can be read: what every reader is given."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SourceFile:
    """One file to read.

    Attributes:
        place: Where it is, as text: there may be very many.
        source: The path as the user would name it, with "/" between folders.
        doc_id: The path below the folder it was found under, with "/" between folders; the file's name if named itself.
        size: Its size when it was found, in bytes.
        status: How the file system describes it: the same as before, its content is too; "" says nothing.
        changed_at: When it was last changed, or its name or rights were, in seconds since 1970.
    """

    place: str
    source: str
    doc_id: str
    size: int
    status: str = field(default="", compare=False)
    changed_at: float = field(default=0.0, compare=False)

    @property
    def path(self) -> Path:
        """Where it is."""
        return Path(self.place)

    def at(self, line: int) -> str:
        """Name a line of the file, counted from 1, the way messages do (``docs.jsonl:41``)."""
        return f"{self.source}:{line}"
