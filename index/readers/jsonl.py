"""JSON Lines: one document a line."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator

from index.config import FieldNames
from index.errors import InputError
from index.readers.decoding import read_lines
from index.readers.fielded import FieldedFile
from index.readers.source_file import SourceFile
from index.records import Document, Rejected

SUFFIXES: tuple[str, ...] = (".jsonl", ".ndjson")


def read(file: SourceFile, *, fields: FieldNames, encoding: str) -> Iterator[Document | Rejected]:
    """Read a JSON Lines file, a line at a time; blank lines are passed over.

    Args:
        file: The file.
        fields: Which fields hold what; the others become metadata.
        encoding: The name of its encoding, or "" to detect it.

    Raises:
        InputError: If the file has no record, is binary, or its encoding cannot be told.
        OSError: If it cannot be read.
    """
    records = FieldedFile(file, fields)
    is_empty = True
    for line in read_lines(file.path, encoding):
        if not line.problem and not line.text.strip():
            continue
        is_empty = False
        if line.problem:
            yield Rejected(file.at(line.number), line.problem)
            continue
        try:
            record = parse_object(line.text.rstrip("\r\n"))
        except InputError as error:
            yield Rejected(file.at(line.number), str(error))
        else:
            yield records.document(record, line.number)
    if is_empty:
        raise InputError("is empty; write one JSON object on each line or remove it.")


def find_record(file: SourceFile, doc_id: str, *, fields: FieldNames, encoding: str) -> tuple[int, Document] | None:
    """Find the record of a document; arguments and errors as ``read`` has them.

    Returns:
        The number of its line and the document, None when there is no such record.
    """
    records = FieldedFile(file, fields)
    for line in read_lines(file.path, encoding):
        if line.problem or not line.text.strip():
            continue
        try:
            found = records.document(parse_object(line.text.rstrip("\r\n")), line.number)
        except InputError:
            continue
        if isinstance(found, Document) and found.doc_id == doc_id:
            return line.number, found
    return None


def parse_object(text: str) -> dict[str, object]:
    """Parse one JSON object.

    Raises:
        InputError: If the text is not JSON (NaN and numbers too large for one are not), or not an object.
    """
    try:
        value = json.loads(text, parse_constant=_no_constant, parse_float=_finite)
    except json.JSONDecodeError as error:
        raise InputError(
            f"is not JSON ({error.msg}, character {error.pos + 1:,}); write one object on each line."
        ) from error
    except ValueError as error:
        raise InputError(f"is not JSON ({error}); write it as text, between quotes.") from error
    except RecursionError as error:
        raise InputError("its lists or objects are nested too deeply; flatten them.") from error
    if not isinstance(value, dict):
        raise InputError('is not a JSON object; write one object on each line, such as {"id": "1", "text": "..."}.')
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:20]} is too large for a number")
    return number
