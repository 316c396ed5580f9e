"""Normalisation tables: compiled ones against the tokenizer that reads them, and against a reading of our own."""

from __future__ import annotations

import struct
import unicodedata
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import normalizers

from index import charsmap
from index.charsmap import compile_charsmap, with_compositions

CHARS = st.characters(exclude_characters="\0", exclude_categories=["Cs"])
TABLES = st.dictionaries(st.text(CHARS, min_size=1, max_size=4), st.text(CHARS, max_size=4), min_size=1, max_size=30)


def look_up(compiled: bytes, key: str) -> str | None:
    """Follow a key through the trie as darts-clone does; None when the table does not hold it."""
    (size,) = struct.unpack_from("<I", compiled)
    units = struct.unpack_from(f"<{size // 4}I", compiled, 4)
    at = 0
    unit = units[at]
    for byte in key.encode():
        at ^= unit >> 10
        at ^= byte
        unit = units[at]
        if unit & 0x800000FF != byte:  # another node's child, or a leaf
            return None
    if not unit >> 8 & 1:
        return None
    place = 4 + size + (units[at ^ (unit >> 10)] & 0x7FFFFFFF)
    return compiled[place : compiled.index(b"\0", place)].decode()


def normalize(table: Mapping[str, str], text: str) -> str:
    return str(normalizers.Precompiled(compile_charsmap(table)).normalize_str(text))


SMALL = {"Ａ": "A", "①": "1", "ﬁ": "fi", "\u200b": " ", "\u00ad": "", "½": "1⁄2", "é": "e\u0301", "ﷲ": "الله", "𝐀": "A"}


@pytest.mark.parametrize(
    "table",
    [
        {"a": "b"},
        {"a": ""},
        SMALL,
        {chr(code): f"<{code}>" for code in range(1, 0x400)},
        {chr(code): "x" for code in range(0x4E00, 0x5600)},
        {"e\u0301": "é", "ی": "ي", "ك": "ک"},
    ],
)
def test_every_key_is_replaced_by_the_tokenizer(table: dict[str, str]) -> None:
    tokenizer = normalizers.Precompiled(compile_charsmap(table))
    assert {key: tokenizer.normalize_str(key) for key in table} == table


def test_other_characters_are_untouched() -> None:
    assert normalize(SMALL, "xＡ-①ąపుﬁ!") == "xA-1ąపుfi!"
    assert normalize(SMALL, "plain తెలుగు اردو") == "plain తెలుగు اردو"


@given(st.dictionaries(CHARS.filter(lambda c: not unicodedata.combining(c)), st.text(CHARS, max_size=4), min_size=1))
def test_every_character_of_any_table_is_replaced_by_the_tokenizer(table: dict[str, str]) -> None:
    tokenizer = normalizers.Precompiled(compile_charsmap(table))
    assert {key: tokenizer.normalize_str(key) for key in table} == table


@given(TABLES, st.text(CHARS, min_size=1, max_size=4))
@example({"a": "1", "ab": "2", "abc": "3", "b": "4"}, "ac")
def test_any_table_holds_its_keys_and_no_other(table: dict[str, str], other: str) -> None:
    compiled = compile_charsmap(table)
    assert {key: look_up(compiled, key) for key in table} == table
    assert look_up(compiled, other) == table.get(other)


def test_a_table_too_large_for_the_form_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    table = {chr(code): "x" for code in range(0x4E00, 0x5600)}
    monkeypatch.setattr(charsmap, "_MAX_OFFSET", 1 << 10)
    with pytest.raises(ValueError, match="too large"):
        compile_charsmap(table)


@pytest.mark.parametrize("table", [{"": "x"}, {"a\0": "x"}, {"a": "x\0y"}])
def test_what_the_form_cannot_hold_is_refused(table: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="NUL"):
        compile_charsmap(table)


def test_both_spellings_of_a_composed_character_get_the_same() -> None:
    full = with_compositions({"é": "E", "①": "1"})
    assert full["e\u0301"] == "E"
    assert full["a\u0328"] == "ą"
    assert full["①"] == "1"
    assert "①" not in full.values()
    assert normalize(full, "e\u0301a\u0328é") == "EąE"
    assert all(unicodedata.normalize("NFC", key) != key for key in full.keys() - {"é", "①"})
