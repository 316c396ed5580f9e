"""JSON Lines and tables: one document a record."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.config import FieldNames
from index.readers import SourceFile, read_file
from index.readers.decoding import MAX_LINE_BYTES
from index.readers.fielded import language_tag
from index.records import Document, Rejected

Item = Document | Rejected


def read(
    tmp_path: Path, content: str | bytes, name: str = "docs.jsonl", fields: FieldNames | None = None
) -> list[Item]:
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    file = SourceFile(str(path), name, name, path.stat().st_size)
    return list(read_file(file, fields=fields or FieldNames()))


def reason(items: list[Item]) -> str:
    (item,) = items
    assert isinstance(item, Rejected)
    return str(item)


def test_fields_of_json_lines(tmp_path: Path) -> None:
    lines = [
        '{"id": "a", "text": "Labas\\r\\nrytas", "title": "T", "lang": "LT", "year": 2001, "tags": ["x", {"y": null}]}',
        "",
        '{"_id": 7, "id": "kept", "text": "dvi", "title": "", "lang": null}\r',
        "  ",
        '{"text": "be id"}',
    ]
    assert read(tmp_path, "\n".join(lines)) == [
        Document(
            "a",
            "docs.jsonl",
            "Labas\r\nrytas",
            title="T",
            lang="lt",
            metadata={"year": 2001, "tags": ["x", {"y": None}]},
        ),
        Document("7", "docs.jsonl", "dvi", metadata={"id": "kept"}),
        Document("docs.jsonl:5", "docs.jsonl", "be id"),
    ]


def test_fields_can_be_named(tmp_path: Path) -> None:
    fields = FieldNames(text="body", id="key", title="head", lang="language")
    line = '{"key": 1.5, "id": "x", "body": "text", "head": "T", "language": "ur", "text": "other", "title": "t"}'
    assert read(tmp_path, line, "docs.ndjson", fields) == [
        Document("1.5", "docs.ndjson", "text", "T", "ur", {"id": "x", "text": "other", "title": "t"})
    ]


def test_one_field_can_be_text_and_title_at_once(tmp_path: Path) -> None:
    (document,) = read(tmp_path, '{"title": "both", "id": ""}', fields=FieldNames(text="title"))
    assert document == Document("docs.jsonl:1", "docs.jsonl", "both", metadata={"id": ""})


def test_what_cannot_be_title_or_language_stays_in_the_metadata(tmp_path: Path) -> None:
    (document,) = read(tmp_path, '{"text": "a", "title": 1984, "lang": "lietuvių kalba"}')
    assert document == Document("docs.jsonl:1", "docs.jsonl", "a", metadata={"title": 1984, "lang": "lietuvių kalba"})


@pytest.mark.parametrize(
    ("declared", "tag"),
    [
        ("lt", "lt"),
        (" FA-Arab-IR ", "fa-Arab-IR"),
        ("und", ""),
        ("", ""),
        ("lt_LT", ""),
        ("l", ""),
        ("te-", ""),
        ("фа", ""),
    ],
)
def test_language_tags(declared: str, tag: str) -> None:
    assert language_tag(declared) == tag


NAME_ANOTHER = "name another with --text-field."


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ('{"id": 1, "title": "T"}', f"field 'text' is missing (found: id, title); {NAME_ANOTHER}"),
        ("{}", f"field 'text' is missing (found: none); {NAME_ANOTHER}"),
        ('{"text": " \\n"}', f"field 'text' is empty; fill it in, or {NAME_ANOTHER}"),
        ('{"text": 5}', f"field 'text' holds a number, not text; {NAME_ANOTHER}"),
        ('{"text": null}', f"field 'text' holds null, not text; {NAME_ANOTHER}"),
        ('{"text": ["a"]}', f"field 'text' holds a list, not text; {NAME_ANOTHER}"),
        ('{"text": "a", "id": [1]}', "field 'id' holds a list; an id is text or a number."),
        ('{"text": "a", "id": true}', "field 'id' holds true or false; an id is text or a number."),
        ('{"text": "a"', "is not JSON (Expecting ',' delimiter, character 13); write one object on each line."),
        ('["a"]', 'is not a JSON object; write one object on each line, such as {"id": "1", "text": "..."}.'),
        ('{"text": "a", "n": NaN}', "is not JSON (NaN is no JSON number); write it as text, between quotes."),
        (
            '{"text": "a", "n": 1e999}',
            "is not JSON (1e999 is too large for a number); write it as text, between quotes.",
        ),
        ("[" * 100_000, "its lists or objects are nested too deeply; flatten them."),
        (
            '{"text": "a\\ud800"}',
            "field 'text' holds half of a surrogate pair, which is no character; mend the escape.",
        ),
        (
            '{"text": "a", "m": {"x": ["\\udfff"]}}',
            "field 'm' holds half of a surrogate pair, which is no character; mend the escape.",
        ),
        (
            '{"text": "a", "\\udc00": 1}',
            "field '\\\\udc00' holds half of a surrogate pair, which is no character; mend the escape.",
        ),
    ],
)
def test_a_bad_line_costs_one_record_and_says_why(tmp_path: Path, line: str, expected: str) -> None:
    good = '{"text": "good"}'
    assert read(tmp_path, f"{good}\n{line}\n{good}\n") == [
        Document("docs.jsonl:1", "docs.jsonl", "good"),
        Rejected("docs.jsonl:2", expected),
        Document("docs.jsonl:3", "docs.jsonl", "good"),
    ]


def test_a_number_of_too_many_digits_is_rejected(tmp_path: Path) -> None:
    assert "docs.jsonl:1: is not JSON (Exceeds the limit" in reason(read(tmp_path, '{"n": ' + "9" * 5000 + "}"))


def test_characters_a_database_may_dislike_survive(tmp_path: Path) -> None:
    (document,) = read(tmp_path, '{"text": "a\\u0000b\\ud83d\\ude00\\uffff"}')
    assert isinstance(document, Document)
    assert document.text == "a\0b😀\uffff"


def test_an_id_that_comes_again_is_rejected(tmp_path: Path) -> None:
    lines = [
        {"id": 1, "text": "a"},
        {"id": "1", "text": "a"},
        {"id": "1", "text": "b"},
        {"id": "f.jsonl:5", "text": "c"},
    ]
    content = "\n".join(map(json.dumps, lines)) + '\n{"text": "d"}'
    assert [str(item) for item in read(tmp_path, content, "f.jsonl") if isinstance(item, Rejected)] == [
        "f.jsonl:2: repeats line 1: the same id '1' and the same text; remove one.",
        "f.jsonl:3: id '1' is already that of line 1, with another text; give one of them another id.",
        "f.jsonl:5: id 'f.jsonl:5' is already that of line 4, with another text; give one of them another id.",
    ]


def test_one_undecodable_line_costs_one_record(tmp_path: Path) -> None:
    content = '{"text": "ąčęėįš"}\n'.encode() + b'{"text": "\xe0\xe8"}\n' + b'{"text": "b"}'
    first, second, third = read(tmp_path, content)
    assert isinstance(first, Document)
    assert isinstance(third, Document)
    assert str(second).startswith("docs.jsonl:2: is not valid utf-8 (byte 0xE0 at offset 10)")


def test_a_line_over_the_bound_costs_one_record(tmp_path: Path) -> None:
    long = b'{"text": "' + b"x" * MAX_LINE_BYTES + b'"}\n'
    first, second = read(tmp_path, long + b'{"text": "b"}')
    assert first == Rejected("docs.jsonl:1", "the line is longer than 16,777,216 bytes; split the record.")
    assert second == Document("docs.jsonl:2", "docs.jsonl", "b")


@pytest.mark.parametrize("content", ["", "\n \r\n", "\ufeff"])
def test_an_empty_file_is_rejected(tmp_path: Path, content: str) -> None:
    assert reason(read(tmp_path, content)) == "docs.jsonl: is empty; write one JSON object on each line or remove it."
    assert reason(read(tmp_path, content, "t.csv")) == "t.csv: is empty; write a header and rows or remove it."


def test_records_in_a_legacy_encoding(tmp_path: Path) -> None:
    text = "Dviračių dirbtuvė telpa į du garažus, o dirba joje trys žmonės, kurie prašė sureguliuoti pavaras."
    content = json.dumps({"text": text}, ensure_ascii=False).encode("windows-1257")
    assert read(tmp_path, content) == [Document("docs.jsonl:1", "docs.jsonl", text)]


@pytest.mark.parametrize("delimiter", [",", ";", "|", "\t"])
def test_the_separator_of_a_table_is_the_one_its_header_shows(tmp_path: Path, delimiter: str) -> None:
    header = delimiter.join(["id", " text ", "lang", "kind"])
    row = delimiter.join(["a", '"x, y; z | ""w""\r\n\tv"', "te", ""])
    assert read(tmp_path, f"\ufeff\r\n{header}\r\n{row}\r\n\r\n", "t.csv") == [
        Document("a", "t.csv", 'x, y; z | "w"\r\n\tv', lang="te", metadata={"kind": ""})
    ]


def test_a_tsv_is_separated_by_tabs_alone(tmp_path: Path) -> None:
    assert read(tmp_path, "text\tnote, or not\na, b\tc\n", "t.TSV") == [
        Document("t.TSV:2", "t.TSV", "a, b", metadata={"note, or not": "c"})
    ]


def test_a_table_without_a_text_column_is_rejected_once(tmp_path: Path) -> None:
    assert reason(read(tmp_path, "id;body\n1;a\n2;b\n", "t.csv")) == (
        "t.csv: field 'text' is missing (found: id, body); name another with --text-field."
    )


def test_a_bad_row_costs_one_record_and_says_why(tmp_path: Path) -> None:
    content = 'id,text\n1,"a\nb"\n2\n3,c,d\n4,"e"f\n5,g\rh\n6, \n1,a\n7,i'
    assert [str(item) if isinstance(item, Rejected) else item.doc_id for item in read(tmp_path, content, "t.csv")] == [
        "1",
        "t.csv:4: 1 columns where the header has 2; quote fields that hold a separator, or fill the row up.",
        "t.csv:5: 3 columns where the header has 2; quote fields that hold a separator, or fill the row up.",
        "t.csv:6: quotes are out of place (',' expected after '\"'); double the quotes inside a quoted field.",
        "t.csv:7: a carriage return stands outside quotes; quote the field, or end lines with LF or CRLF.",
        "t.csv:8: field 'text' is empty; fill it in, or name another with --text-field.",
        "t.csv:9: id '1' is already that of line 2, with another text; give one of them another id.",
        "7",
    ]


def test_an_undecodable_row_costs_one_record(tmp_path: Path) -> None:
    content = "id,text\n1,ąčęė\n".encode() + b'2,"a\xff\nb"\n3,c\n'
    first, second, third = read(tmp_path, content, "t.csv")
    assert isinstance(first, Document)
    assert str(second).startswith("t.csv:3: is not valid utf-8 (byte 0xFF at offset 4)")
    assert third == Document("3", "t.csv", "c")


def test_a_quote_that_is_never_closed(tmp_path: Path) -> None:
    first, second = read(tmp_path, 'id,text\n1,a\n2,"b\n3,c\n', "t.csv")
    assert first == Document("1", "t.csv", "a")
    assert str(second) == (
        "t.csv: a quote in the row at line 3 is never closed; close it. The rows from line 3 on were not read."
    )


def test_long_fields_are_read_up_to_the_bound_and_the_limit_is_put_back(tmp_path: Path) -> None:
    before = csv.field_size_limit()
    (document,) = read(tmp_path, "text\n" + "x" * 200_000, "t.csv")
    assert isinstance(document, Document)
    assert len(document.text) == 200_000
    lines = "x" * (MAX_LINE_BYTES // 4) + "\n"
    assert reason(read(tmp_path, 'text\n"' + lines * 4, "t.csv")) == (
        "t.csv: the row at line 2 is longer than 16,777,216 characters; is a quote never closed? "
        "The rows from line 2 on were not read."
    )
    rows = read(tmp_path, "text\n" + lines * 5, "t.csv")
    assert [len(item.text) for item in rows if isinstance(item, Document)] == [MAX_LINE_BYTES // 4] * 5
    assert csv.field_size_limit() == before


def test_a_line_over_the_bound_ends_the_reading_of_a_table(tmp_path: Path) -> None:
    first, second = read(tmp_path, b"text\na\n" + b"x" * (MAX_LINE_BYTES + 1) + b"\nb\n", "t.csv")
    assert first == Document("t.csv:2", "t.csv", "a")
    assert str(second) == (
        "t.csv: line 3: the line is longer than 16,777,216 bytes; split the record. "
        "The rows from line 3 on were not read."
    )


def test_columns_without_a_name_of_their_own_keep_their_values(tmp_path: Path) -> None:
    (document,) = read(tmp_path, "text,,note,note\na,b,c,d\n", "t.csv")
    assert isinstance(document, Document)
    assert document.metadata == {"(column 2)": "b", "note": "c", "note (column 4)": "d"}
    assert reason(read(tmp_path, "text,text\na,b\n", "t.csv")) == (
        "t.csv: 2 columns are named 'text'; rename all but one."
    )


def test_a_header_that_cannot_be_read_or_stands_alone(tmp_path: Path) -> None:
    assert (
        reason(read(tmp_path, "id,text\n", "t.csv"))
        == "t.csv: has a header but no rows; add rows below it or remove it."
    )
    assert "t.csv: the header cannot be read: a carriage return" in reason(read(tmp_path, "text\ra\rb\r", "t.csv"))
    damaged = "text,ąčęė,".encode() + b"\xff\na,b,c\n"
    assert "t.csv: the header cannot be read: is not valid utf-8" in reason(read(tmp_path, damaged, "t.csv"))


def test_a_table_in_utf16(tmp_path: Path) -> None:
    content = "id\ttext\r\n1\tమొదట\r\n".encode("utf-16")
    assert read(tmp_path, content, "t.tsv") == [Document("1", "t.tsv", "మొదట")]


WORDS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
TEXTS = WORDS.filter(str.strip)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=5,
)


@settings(max_examples=80, deadline=None)
@given(
    records=st.lists(st.tuples(TEXTS, WORDS.filter(str.strip), VALUES), min_size=1, max_size=8),
    ascii_only=st.booleans(),
)
def test_any_records_round_trip_through_json_lines(
    tmp_path_factory: pytest.TempPathFactory, records: list[tuple[str, str, object]], ascii_only: bool
) -> None:
    lines = [
        json.dumps({"id": n, "text": text, "title": title, "lang": "te", "more": value}, ensure_ascii=ascii_only)
        for n, (text, title, value) in enumerate(records)
    ]
    assert read(tmp_path_factory.getbasetemp(), "\n".join(lines), "any.jsonl") == [
        Document(str(n), "any.jsonl", text, title, "te", {"more": value})
        for n, (text, title, value) in enumerate(records)
    ]


# Raw control characters would make a table binary.
CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"], include_characters="\t\n\r"), max_size=20)


@settings(max_examples=80, deadline=None)
@given(
    rows=st.lists(st.tuples(CELLS.filter(str.strip), CELLS), min_size=1, max_size=8), delimiter=st.sampled_from(",;|\t")
)
def test_any_records_round_trip_through_tables(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str]], delimiter: str
) -> None:
    table = io.StringIO(newline="")
    writer = csv.writer(table, delimiter=delimiter, quoting=csv.QUOTE_ALL)
    writer.writerow(["doc_id", "text", "note"])
    writer.writerows((f"d{n}", text, note) for n, (text, note) in enumerate(rows))
    for name in ["any.csv"] + ["any.tsv"] * (delimiter == "\t"):
        assert read(tmp_path_factory.getbasetemp(), table.getvalue(), name) == [
            Document(f"d{n}", name, text, metadata={"note": note}) for n, (text, note) in enumerate(rows)
        ]


def test_rows_between_two_bare_quotes_of_a_tsv_are_reported(tmp_path: Path) -> None:
    content = 'id\ttext\n1\t"Labas, tarė jis\n2\tKitas įrašas\n3\ttrečias baigtas"\n4\tketvirtas\n'
    problem, last = read(tmp_path, content, "t.tsv")
    assert isinstance(problem, Rejected)
    assert problem.where == "t.tsv:2"
    assert "closes only on line 4" in problem.reason
    assert last == Document("4", "t.tsv", "ketvirtas")


@pytest.mark.parametrize(
    ("declared", "lang"), [("none", ""), ("english", ""), ("lit", "lt"), ("URD", "ur"), ("pt-BR", "pt-BR")]
)
def test_a_word_is_no_language_and_a_longer_code_is_shortened(tmp_path: Path, declared: str, lang: str) -> None:
    (document,) = read(tmp_path, f'{{"id": "a", "text": "Labas rytas.", "lang": "{declared}"}}', "t.jsonl")
    assert isinstance(document, Document)
    assert document.lang == lang
