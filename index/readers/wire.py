"""What a reading process sends: documents and what was rejected, as JSON after its length; never a pickle."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import cast

from index.config import FieldNames
from index.errors import InputError
from index.readers.source_file import SourceFile
from index.records import Document, Mark, Rejected

LENGTH_BYTES = 8
"""Bytes that tell a message's length, the most significant first."""

Message = Mapping[str, object]
ReadExactly = Callable[[int], bytes]
"""Reads as many bytes, fewer at the end alone."""


class WireError(Exception):
    """The other process sent something else than agreed, too much, or nothing more."""


def packed(message: Message) -> bytes:
    """Return a message as it is sent.

    Raises:
        ValueError: When JSON cannot hold it.
        RecursionError: When it is nested too deeply.
    """
    # Half of a surrogate pair travels too: whoever writes documents refuses it and says where.
    data = json.dumps(message, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass")
    return len(data).to_bytes(LENGTH_BYTES) + data


def unpacked(read: ReadExactly, most: int) -> Message:
    """Read one message.

    Args:
        read: Reads from the other process.
        most: The most bytes it may be long; a longer one is not read at all.

    Raises:
        WireError: When there is none, it is too long, or no message.
    """
    head = read(LENGTH_BYTES)
    if len(head) < LENGTH_BYTES:
        raise WireError("ended")
    n = int.from_bytes(head)
    if n > most:
        raise WireError("too much")
    data = read(n)
    if len(data) < n:
        raise WireError("ended")
    try:
        message = json.loads(data.decode("utf-8", "surrogatepass"))
    except (ValueError, RecursionError) as error:
        raise WireError("no message") from error
    if not isinstance(message, dict):
        raise WireError("no message")
    return message


def request_of(file: SourceFile, fields: FieldNames, encoding: str) -> Message:
    """Return the message that asks for a file to be read."""
    return {
        "file": [file.place, file.source, file.doc_id, file.size],
        "fields": [fields.text, fields.id, fields.title, fields.lang],
        "encoding": encoding,
    }


def request_in(message: Message) -> tuple[SourceFile, FieldNames, str]:
    """Return the file that is asked for, its field names and its encoding; the message is trusted."""
    place, source, doc_id, size = cast("tuple[str, str, str, int]", message["file"])
    fields = FieldNames(*cast("list[str]", message["fields"]))
    return SourceFile(place, source, doc_id, size), fields, str(message["encoding"])


def answer_of(item: Document | Rejected) -> Message:
    """Return the message that holds something read."""
    if isinstance(item, Rejected):
        return {"rejected": [item.where, item.reason, item.passed_over, item.out_of_reach]}
    return {
        "document": [item.doc_id, item.source, item.text, item.title, item.lang],
        "metadata": dict(item.metadata),
        "title_in_text": item.title_in_text,
        "marks": [[mark.start, mark.locator] for mark in item.marks],
    }


def answer_in(message: Message) -> Document | Rejected:
    """Return what a message holds, every part checked: who sent it read a file that nobody trusts.

    Raises:
        WireError: When it is no such message.
    """
    rejected = message.get("rejected")
    if isinstance(rejected, list) and [type(part) for part in rejected] == [str, str, bool, bool]:
        where, reason, passed_over, out_of_reach = rejected
        return Rejected(where, reason, passed_over=passed_over, out_of_reach=out_of_reach)
    parts, metadata = message.get("document"), message.get("metadata")
    is_document = isinstance(parts, list) and [type(part) for part in parts] == [str] * 5
    if not (is_document and isinstance(metadata, dict)):
        raise WireError("no message")
    doc_id, source, text, title, lang = cast("list[str]", parts)
    return Document(
        doc_id,
        source,
        text,
        title=title,
        lang=lang,
        metadata=metadata,
        title_in_text=message.get("title_in_text") is True,
        marks=_marks_in(message.get("marks"), len(text)),
    )


def _marks_in(value: object, n_chars: int) -> tuple[Mark, ...]:
    """Return checked marks: ascending, within the text.

    Raises:
        WireError: When they are not.
    """
    if not isinstance(value, list):
        raise WireError("no message")
    marks: list[Mark] = []
    for one in value:
        if not (isinstance(one, list) and [type(part) for part in one] == [int, str]):
            raise WireError("no message")
        start, locator = one
        if not (marks[-1].start if marks else 0) <= start <= n_chars:
            raise WireError("no message")
        try:
            marks.append(Mark(start, locator))
        except InputError as error:
            raise WireError("no message") from error
    return tuple(marks)
