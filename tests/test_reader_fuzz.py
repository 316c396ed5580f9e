"""Files of any bytes: each becomes documents of valid text, or is refused with a reason; no passage loses any of it."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from index.chunking import Chunker, CountTokens
from index.config import ChunkSettings, FieldNames
from index.readers.markdown import first_heading
from index.readers.registry import read_file, supported_suffixes
from index.readers.source_file import SourceFile
from index.records import Document, Rejected
from index.sentences import split_sentences
from index.text import Line

FAST = settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
ENCODINGS = ("utf-8", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-8-sig", "utf-7", "cp1257", "cp1256", "koi8-r",
             "shift_jis", "gb18030", "iso2022_jp", "cp037", "latin-1")  # fmt: skip
MARKS = (b"\xff\xfe", b"\xfe\xff", b"\xef\xbb\xbf", b"\xff\xfe\0\0", b"\0\0\xfe\xff")
WORDS = (
    *(
        "alma",
        "žodis",
        "ĄŽUOLAS",
        "తెలుగు",
        "پیوند",
        "کتاب\u200cها",
        "Иван",
        "日本語。",
        "😀",
        "ﷺ",
        "İ",
        "J",
        "text",
        "id",
    ),
    *(
        "\0",
        "\ufeff",
        "\u2028",
        "\x85",
        "\x0c",
        "\x1c",
        "\u00a0",
        "\u00a0.",
        "\u3000",
        "\t",
        "\u202e",
        "\u00ad",
        "\uffff",
    ),
    *("e\u0301", "\u0301", "\U000e0001", ",", ";", "|", '"', "'", "“", "”", "!", "?", ".", "…", "۔", "।", "- ", "1. "),
    *(
        "# ",
        "##",
        "---",
        "...",
        "```",
        "~~~",
        "===",
        "title: ",
        "lang: lt",
        "{{x}}",
        "<!--",
        "-->",
        "null",
        "Contents:",
    ),
    *("$f[x] not found", "By Anonymous", "Head of it"),
)
PIECES = st.sampled_from([*WORDS, " ", "  ", "\n", "\n\n", "\r\n", "\r", "A" * 150, "文" * 150, "x. " * 40])
TEXTS = st.lists(PIECES, max_size=40).map("".join) | st.text(max_size=60)
NUMBERS = st.sampled_from(
    ["1e999", "-1e999", "9" * 5_000, "NaN", "Infinity", "-0", "0.1e-400", "01", "+1", ".5", "1.", "true", "nul", "-"]
)
SPECIALS = st.sampled_from(
    ['"\\ud800"', '"\\ud83d\\ude00"', '"\\u0000"', '"open', "[" * 100_000, '{"a":' * 3_000, "", "{}"]
)
JSON = TEXTS.map(json.dumps) | TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False)) | NUMBERS | SPECIALS
KEYS = st.sampled_from(["text", "text", "text", "title", "_id", "id", "doc_id", "lang", "x", ""]).map(json.dumps)
RECORDS = st.lists(st.tuples(KEYS, JSON).map(":".join), max_size=5).map(lambda fields: "{" + ",".join(fields) + "}")
ENDS = st.sampled_from(["\n", "\r\n", "\n", "\r", "\n\n", "\n\r"])
CELLS = st.tuples(st.sampled_from(["%s", '"%s"', '"%s', '%s"', '""%s']), TEXTS).map(
    lambda pair: pair[0].replace("%s", pair[1])
)


@st.composite
def tables(draw: st.DrawFn) -> str:
    between = draw(st.sampled_from([",", ";", "|", "\t"]))
    header = draw(
        st.sampled_from([["text"], ["text", "title"], ["id", "text", "lang"], ["text", "", ""], ["text"] * 2])
    )
    rows = draw(st.lists(st.lists(CELLS, min_size=1, max_size=4).map(between.join), max_size=6))
    return draw(ENDS).join([between.join(header), *rows])


@st.composite
def lines_of_json(draw: st.DrawFn) -> str:
    return draw(ENDS).join(draw(st.lists(RECORDS | JSON | TEXTS, max_size=6)))


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Some text in some encoding, whole, damaged or cut short, or any bytes at all."""
    text = draw(tables() | lines_of_json() | TEXTS)
    data = text.encode(draw(st.sampled_from(ENCODINGS)), "replace")
    damage = draw(st.sampled_from(["", "", "", "bytes", "cut", "mark", "byte"]))
    if damage == "bytes":
        return draw(st.binary(max_size=300))
    at = draw(st.integers(0, len(data)))
    if damage == "cut":
        return data[:at]
    if damage == "byte":
        return data[:at] + draw(st.binary(max_size=2)) + data[at + 1 :]
    return draw(st.sampled_from(MARKS)) + data if damage == "mark" else data


def read(data: bytes, suffix: str, encoding: str = "") -> list[Document | Rejected]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, f"file{suffix}")
        path.write_bytes(data)
        file = SourceFile(str(path), f"in/file{suffix}", path.name, len(data))
        return list(read_file(file, fields=FieldNames(), encoding=encoding))


def assert_sound(items: Iterable[Document | Rejected]) -> None:
    """Check that everything that was read can be stored, and everything refused told."""
    seen = set()
    for item in items:
        if isinstance(item, Rejected):
            assert item.where.startswith("in/file")
            assert 10 < len(item.reason.encode()) < 3_000
            continue
        assert item.text.strip()
        for text in (item.doc_id, item.source, item.text, item.title, item.lang):
            text.encode()
        json.dumps(dict(item.metadata), ensure_ascii=False, allow_nan=False).encode()
        assert item.doc_id not in seen
        seen.add(item.doc_id)


def assert_whole(document: Document, count: CountTokens, chunking: ChunkSettings) -> None:
    """Check that passages are spans of the text, and that every visible character is in one or left out."""
    text = document.text
    passages, left_out = Chunker(chunking, count, 10_000).chunk(document)
    told = [False] * len(text)
    for passage in passages:
        assert 0 <= passage.start < passage.end <= len(text)
        assert text[passage.start : passage.end] == passage.text
        assert passage.lang
        ends = [0, *(at for span in passage.sentences for at in span)]
        assert ends == sorted(ends)
        assert ends[-1] <= len(passage.text)
        told[passage.start : passage.end] = [True] * len(passage.text)
    for span in left_out:
        assert 0 <= span.start < span.end <= len(text)
        assert not any(p.start < span.end and span.start < p.end for p in passages)
        told[span.start : span.end] = [True] * (span.end - span.start)
    assert [text[i] for i in range(len(text)) if not told[i] and not text[i].isspace()] == []


def n_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def n_bytes(texts: Sequence[str]) -> list[int]:
    return [len(text.encode()) for text in texts]


def n_some(texts: Sequence[str]) -> list[int]:
    """As a tokenizer that knows long words and drops what it does not see."""
    return [sum(char.isalnum() for char in text) // 4 for text in texts]


COUNTS = st.sampled_from([n_words, n_bytes, n_some])
CHUNKINGS = st.builds(ChunkSettings, max_tokens=st.sampled_from([16, 40, 192]), overlap_sentences=st.integers(0, 2))


@FAST
@given(files(), st.sampled_from(supported_suffixes()), st.sampled_from(["", "", "", *ENCODINGS]))
@example(b"+2AA-", ".txt", "utf-7")
@example(b"a\n+2AA-", ".md", "utf-7")
@example(rb"a \ud800", ".txt", "unicode_escape")
@example(b'---\ntitle: "\\ud800"\n---\nText.', ".md", "")
@example("😀 word".encode("utf-16-le")[:-3], ".txt", "utf-16")
@example(b"text\n" + b'"' * 1001, ".csv", "")
def test_any_file_is_read_or_refused(data: bytes, suffix: str, encoding: str) -> None:
    assert_sound(read(data, suffix, encoding))


@FAST
@given(TEXTS.filter(str.strip), COUNTS, CHUNKINGS, st.sampled_from(["", "lt", "te", "en", "zh", "xx"]))
@example("M\u00a0. Jonas", n_words, ChunkSettings(), "lt")
@example("a" + "\u0301" * 3_000, n_bytes, ChunkSettings(16), "")
def test_every_character_of_a_text_is_in_a_passage_or_left_out(
    text: str, count: CountTokens, chunking: ChunkSettings, lang: str
) -> None:
    assert_whole(Document("d", "s", text, lang=lang), count, chunking)


@FAST
@given(files(), st.sampled_from(supported_suffixes()), COUNTS, CHUNKINGS)
def test_every_character_of_a_file_is_in_a_passage_or_left_out(
    data: bytes, suffix: str, count: CountTokens, chunking: ChunkSettings
) -> None:
    for item in read(data, suffix):
        if isinstance(item, Document):
            assert_whole(item, count, chunking)


@pytest.mark.parametrize("space", "\x85\u00a0\u1680\u2003\u2028\u2029\u202f\u3000")
@pytest.mark.parametrize("lang", ["en", "fr", "lt", "te", "fa", "ur", "ja", "xx", "und"])
def test_an_initial_before_a_space_that_is_not_ascii(space: str, lang: str) -> None:
    text = f"J{space}. Smith came{space}{space}. He left."
    spans = list(split_sentences(text, [Line(0, len(text), text)], lang))
    assert "".join("".join(text[a:b] for a, b in spans).split()) == "".join(text.split())
    assert text[spans[-1][0] :] == "He left."


@pytest.mark.parametrize(
    ("suffix", "text"),
    [
        (".txt", "a " + "$[" * 60_000),
        (".txt", "<!--" * 60_000),
        (".txt", "`" * 60_000 + "\n" + "a`" * 60_000),
        (".txt", "a" + "\u00a0" * 60_000 + "b"),
        (".txt", "文。" * 30_000),
        (".txt", "a" + "\u0301" * 60_000),
        (".md", "# a" + " " * 60_000 + "b"),
        (".md", "#" + " #" * 60_000 + " b"),
        (".csv", "".join(f"c{i}," for i in range(60_000)) + "text\n" + "," * 60_000 + "a b\n"),
    ],
    ids=lambda value: value[:10] if isinstance(value, str) else None,
)
def test_no_line_takes_time_that_grows_with_its_square(suffix: str, text: str) -> None:
    began = time.process_time()
    (document,) = read(text.encode(), suffix)
    assert isinstance(document, Document)
    Chunker(ChunkSettings(), n_words, 512).chunk(document)
    assert time.process_time() - began < 8


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("# Words", "Words"),
        ("## Words ##  ", "Words"),
        ("# C#", "C#"),
        ("# C# #", "C#"),
        ("### \t Words\t###", "Words"),
        ("# #", ""),
        ("#", ""),
        ("# ", ""),
        ("#Words", ""),
        ("####### Words", ""),
        ("   # Words", "Words"),
        ("# a # b", "a # b"),
    ],
)
def test_headings(line: str, heading: str) -> None:
    assert first_heading(line) == heading


def test_half_a_pair_is_no_text() -> None:
    (item,) = read(b"some +2AA- words", ".txt", "utf-7")
    assert str(item) == (
        "in/file.txt: holds half of a surrogate pair after 5 characters, which is no character; mend its text."
    )
    (page,) = read(b'---\ntitle: "\\ud800 x"\n---\nText.', ".md")
    assert isinstance(page, Document)
    assert page.title == '"\\ud800 x"'  # as it stands there


def test_names_in_messages_are_cut() -> None:
    (item,) = read(b"x" * 5_000 + b",b\n1,2\n", ".csv")
    assert str(item) == f"in/file.csv: field 'text' is missing (found: {'x' * 60}…, b); name another with --text-field."
    lines = [json.dumps({"id": "y" * 5_000, "text": text}) for text in ("one", "one", "two")]
    _, same, other = map(str, read("\n".join(lines).encode(), ".jsonl"))
    assert same == f"in/file.jsonl:2: repeats line 1: the same id '{'y' * 60}…' and the same text; remove one."
    assert other.startswith(f"in/file.jsonl:3: id '{'y' * 60}…' is already that of line 1")


def test_a_column_is_never_named_as_another() -> None:
    (item,) = read(b"text,a (column 4),a,a,,\nwords,1,2,3,4,5\n", ".csv")
    assert isinstance(item, Document)
    assert list(item.metadata.values()) == ["1", "2", "3", "4", "5"]
