"""What office files say of themselves: title, author, date, language."""

from __future__ import annotations

from dataclasses import dataclass

from index.errors import InputError
from index.readers.markup import name_of, parse_xml
from index.readers.members import Archive
from index.readers.writing import one_line

CORE_PROPERTIES = "docProps/core.xml"
"""The member of .docx and .pptx files that holds them."""
_UNTITLED = frozenset(["word document", "powerpoint presentation", "untitled", "presentation", "document1"])
"""Titles that programs put in by themselves."""


@dataclass(frozen=True, slots=True)
class Properties:
    """What a file says of itself; "" for what it does not say.

    Attributes:
        title: Its title.
        lang: The language it is declared to be in.
        metadata: Author, date (that of the last change, else of its making) and subject.
    """

    title: str = ""
    lang: str = ""
    metadata: dict[str, str | None] | None = None


def read_properties(archive: Archive, member: str = CORE_PROPERTIES) -> Properties:
    """Read the properties of an office file; none when it has none, or damaged ones.

    The libraries that read these files make up properties where there are none, with the present time.
    """
    if member not in archive.names:
        return Properties()
    try:
        root = parse_xml(archive.read(member))
    except InputError:  # the text is worth more than what the file says of itself
        return Properties()
    found: dict[str, str] = {}
    for element in root.iter():
        if element.text and name_of(element):
            found.setdefault(name_of(element), one_line(element.text))
    title = found.get("title", "")
    date = found.get("modified") or found.get("date") or found.get("created") or found.get("creation-date") or ""
    metadata: dict[str, str | None] = {
        "author": found.get("creator") or found.get("initial-creator"),
        "date": date[:10],
        "subject": found.get("subject"),
    }
    return Properties("" if title.lower() in _UNTITLED else title, found.get("language", ""), metadata)
