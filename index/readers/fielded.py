"""From a record with named fields to a document: the step that JSON Lines and tables share."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from index.config import FieldNames
from index.readers.source_file import SourceFile
from index.records import UNKNOWN_LANG, Document, Rejected

_TAG = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{1,8})*")
_ISO_639_2 = {"tel": "te", "fas": "fa", "per": "fa", "lit": "lt", "urd": "ur", "eng": "en"}
"""Longer codes of the languages measured, which BCP 47 writes with two letters."""
_MAX_NAMES = 12
_MAX_SHOWN = 60
"""How many field names a message lists, and how much of a name or an id it shows."""


class FieldedFile:
    """The records of one file, each of which becomes a document once.

    Remembers every id with its line number and a digest of its text: some 200 bytes a record.
    """

    def __init__(self, file: SourceFile, fields: FieldNames) -> None:
        self._file = file
        self._fields = fields
        self._seen: dict[str, tuple[int, bytes]] = {}

    def document(self, record: Mapping[str, object], line: int) -> Document | Rejected:
        """Make the document of a record, or say why it cannot be one.

        The id is the first id field that is there and not empty, a number as its digits; a record without one gets
        ``<doc_id of the file>:<line>``. A declared language that is not shaped like a BCP 47 tag, and a title that is
        not text, are left in the metadata under their own names: the language is then detected and nothing is lost.

        Args:
            record: Its fields, by name.
            line: The number of the line it begins on.
        """
        where = self._file.at(line)
        problem = self._text_problem(record) or self._unicode_problem(record)
        if problem:
            return Rejected(where, problem)
        text = str(record[self._fields.text])
        id_field = next((name for name in self._fields.ids if record.get(name) not in (None, "")), "")
        doc_id = record[id_field] if id_field else f"{self._file.doc_id}:{line}"
        if isinstance(doc_id, bool) or not isinstance(doc_id, str | int | float):
            return Rejected(where, f"field {id_field!r} holds {_kind(doc_id)}; an id is text or a number.")
        problem = self._repeats(str(doc_id), text, line)
        if problem:
            return Rejected(where, problem)
        return self._make(record, str(doc_id), id_field)

    def _make(self, record: Mapping[str, object], doc_id: str, id_field: str) -> Document:
        """Share the fields of a sound record out."""
        used = {self._fields.text, id_field}
        title = record.get(self._fields.title) if self._fields.title not in used else ""
        title = title if isinstance(title, str) and title.strip() else ""
        used.update([self._fields.title] if title or not record.get(self._fields.title) else [])
        declared = record.get(self._fields.lang) if self._fields.lang not in used else ""
        lang = language_tag(declared) if isinstance(declared, str) else ""
        used.update([self._fields.lang] if lang or not declared else [])
        return Document(
            doc_id,
            self._file.source,
            str(record[self._fields.text]),
            title=title,
            lang=lang,
            metadata={name: value for name, value in record.items() if name not in used},
        )

    def _text_problem(self, record: Mapping[str, object]) -> str:
        """Say what is wrong with the text field, or ""."""
        name = self._fields.text
        if name not in record:
            return missing_text(name, list(record))
        text = record[name]
        if not isinstance(text, str):
            return f"field {name!r} holds {_kind(text)}, not text; name another with --text-field."
        return "" if text.strip() else f"field {name!r} is empty; fill it in, or name another with --text-field."

    def _unicode_problem(self, record: Mapping[str, object]) -> str:
        r"""Name the first field with half of a surrogate pair (``"\ud800"``), which no file can hold, or ""."""
        for name, value in record.items():
            if _holds_surrogate([name, value]):
                return f"field {_shown(name)!r} holds half of a surrogate pair, which is no character; mend the escape."
        return ""

    def _repeats(self, doc_id: str, text: str, line: int) -> str:
        """Say which earlier record had this id, or remember it and return ""."""
        shown = _shown(doc_id)
        digest = hashlib.blake2b(text.encode(), digest_size=8).digest()
        first_line, first_digest = self._seen.setdefault(doc_id, (line, digest))
        if first_line == line:
            return ""
        if first_digest == digest:
            return f"repeats line {first_line}: the same id {shown!r} and the same text; remove one."
        return f"id {shown!r} is already that of line {first_line}, with another text; give one of them another id."


def language_tag(declared: str) -> str:
    """Return a declared BCP 47 tag with its first subtag in lower case, or "" if it is not shaped like one.

    ``und`` declares that the language is not known, so it counts as none. Only the shape is checked: words such as
    "none" and "english" are longer than a language's code.
    """
    declared = declared.strip()
    if not _TAG.fullmatch(declared):
        return ""
    primary, hyphen, rest = declared.partition("-")
    primary = _ISO_639_2.get(primary.lower(), primary.lower())
    return "" if primary == UNKNOWN_LANG else primary + hyphen + rest


def missing_text(name: str, found: list[str]) -> str:
    """Say that there is no text field, and which fields there are."""
    shown = ", ".join(map(_shown, found[:_MAX_NAMES])) + (
        f" and {len(found) - _MAX_NAMES} more" if len(found) > _MAX_NAMES else ""
    )
    return f"field {name!r} is missing (found: {shown or 'none'}); name another with --text-field."


def _shown(name: str) -> str:
    """Return a name as a message may hold it: valid Unicode, and not as long as a file."""
    shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
    return shown if len(shown) <= _MAX_SHOWN else f"{shown[:_MAX_SHOWN]}…"


def _holds_surrogate(value: object) -> bool:
    """Look for lone surrogates in text, and in lists and objects however deep, without recursion."""
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            try:
                item.encode()
            except UnicodeEncodeError:
                return True
        elif isinstance(item, Mapping):
            pending.extend([*item.keys(), *item.values()])
        elif isinstance(item, list):
            pending.extend(item)
    return False


def _kind(value: object) -> str:
    """Name a JSON value's kind."""
    kinds = {bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object", str: "text"}
    return kinds.get(type(value), "null")
