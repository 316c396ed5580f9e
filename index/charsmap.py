"""A normalisation table in the binary form that Unigram tokenizers read ("precompiled charsmap").

The form: the size of a trie in bytes (u32), the trie as a double array of u32 units, then the replacements as
NUL-terminated UTF-8. A unit holds its label in bits 0-7, "has a leaf" in bit 8, and the XOR distance to its children
from bit 10 up; a leaf has bit 31 set and holds the place of its replacement.
Source: the layout of darts-clone, as sentencepiece and tokenizers read it.
"""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Mapping
from typing import Any

_HAS_LEAF = 1 << 8
_IS_LEAF = 1 << 31
_MAX_OFFSET = 1 << 21
_LOOK_BACK = 1024
"""How far behind the last unit a gap is looked for: farther back they are too few to be worth the time."""


def with_compositions(table: Mapping[str, str]) -> dict[str, str]:
    """Add the decomposed spelling of every composed character of the BMP, so that both spellings give the same ids.

    Args:
        table: Single characters and what they become.
    """
    full = dict(table)
    for code in range(0x80, 0x10000):
        char = chr(code)
        decomposed = unicodedata.normalize("NFD", char)
        if len(decomposed) > 1 and unicodedata.normalize("NFC", decomposed) == char:
            full.setdefault(decomposed, table.get(char, char))
    return full


def compile_charsmap(table: Mapping[str, str]) -> bytes:
    """Compile a table of strings and their replacements.

    Raises:
        ValueError: When the table is too large for the form, or has an empty key or a NUL.
    """
    replacements = bytearray()
    place_of: dict[str, int] = {}
    trie: dict[int, Any] = {}
    for key, value in table.items():
        if not key or "\0" in key + value:
            raise ValueError(f"{key!r}: the form has no place for an empty key or a NUL")
        if value not in place_of:
            place_of[value] = len(replacements)
            replacements += value.encode() + b"\0"
        node = trie
        for byte in key.encode():
            node = node.setdefault(byte, {})
        node[0] = place_of[value]
    units = _double_array(trie)
    return struct.pack(f"<I{len(units)}I", 4 * len(units), *units) + bytes(replacements)


def _double_array(trie: dict[int, Any]) -> list[int]:
    """Lay a byte trie (label 0: the leaf's value) into units; each node's children sit at its base XOR their label."""
    units: dict[int, int] = {0: 0}
    bases: set[int] = set()
    last = 0
    pending = [(0, trie)]
    while pending:
        position, node = pending.pop()
        labels = sorted(node)
        slot = max(1, last - _LOOK_BACK)
        while True:
            base = slot ^ labels[0]
            # A base serves one node only: a unit knows its label but not its parent.
            if slot not in units and base not in bases and not any(base ^ label in units for label in labels):
                break
            slot += 1
        bases.add(base)
        offset = position ^ base
        if offset >= _MAX_OFFSET:
            raise ValueError("the table is too large for this form")
        units[position] |= offset << 10 | (_HAS_LEAF if 0 in node else 0)
        for label in labels:
            units[base ^ label] = node[0] | _IS_LEAF if label == 0 else label
            last = max(last, base ^ label)
            if label:
                pending.append((base ^ label, node[label]))
    size = (max(units) | 0xFF) + 1  # a look-up may touch any unit of the last block
    return [units.get(i, 0) for i in range(size)]
