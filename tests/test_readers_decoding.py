"""Encodings, whole texts and lines."""

from __future__ import annotations

import codecs
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from index.config import FieldNames
from index.errors import InputError
from index.readers import SourceFile, read_file, supported_suffixes
from index.readers.decoding import MAX_LINE_BYTES, MAX_TEXT_BYTES, Line, read_lines, read_text
from index.records import Document, Rejected

LITHUANIAN = (
    "Dviračių dirbtuvė Kauno Vilijampolėje telpa į du garažus, o dirba joje trys žmonės. Savininkas juokauja, kad "
    "žodžius „orientacija į klientą“ pirmą kartą išgirdo per kursus, o ką jie reiškia, suprato tik tada, kai neteko "
    "nuolatinės klientės. Atėjo moteris, paprašė sureguliuoti pavaras, o daugiau ji nebeužsuko.\r\n"
)
LITHUANIAN_SHORT = (
    "Ne visi klientai grįžta, tačiau skųstis ateina tik vienas iš dešimties: kiti išeina tyliai ir pas kitą."
)
PERSIAN = (
    "كارگاه پنجره سازي در حاشيه اراك يازده نفر نيرو دارد. نه واحد روابط عمومي دارد و نه شعاري به ديوارش زده است. "
    "با اين حال پارسال از هر ده سفارش تازه، شش تا را همسايه و فاميل مشتريان قبلي آورده بودند.\n"
)
URDU = (
    "صارف پہلے تحريري نوٹس بھيجتا ہے کہ نقص دور کيا جائے يا نقصان پورا کيا جائے، ورنہ عدالت ميں دعوي نہيں سنا جاتا.\n"
)
ARABIC = "افتتحنا الورشة في الربيع، وكان الزبائن قليلين في البداية، ثم بدأ الجيران يحضرون دراجاتهم وازداد العمل.\n"
RUSSIAN = "Мы открыли мастерскую весной. Сначала клиентов было мало, но потом соседи стали приносить велосипеды.\n"
POLISH = "Otworzyliśmy warsztat wiosną. Później sąsiedzi zaczęli przynosić rowery, a źle zrobić nie można, cóż.\n"
FRENCH = "Nous avons ouvert l'atelier au printemps ; après ça les voisins ont apporté leurs vélos, là où il fallait.\n"
TELUGU = "మొదట కస్టమర్ మాట వినాలి, ఆ తర్వాతే పని మొదలు పెట్టాలి.\n"
CHINESE = "我们春天开了这家作坊。起初顾客很少，后来邻居们开始送来自行车，活儿就多了起来。每天都有五六个人来。\n"


def write(tmp_path: Path, data: bytes, name: str = "a.txt") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


def read(path: Path, encoding: str = "") -> list[Document | Rejected]:
    file = SourceFile(str(path), path.name, path.name, path.stat().st_size)
    return list(read_file(file, fields=FieldNames(), encoding=encoding))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (LITHUANIAN, "windows-1257"),
        (LITHUANIAN_SHORT, "windows-1257"),
        (LITHUANIAN_SHORT, "iso8859-13"),
        (LITHUANIAN_SHORT, "iso8859-4"),
        (PERSIAN, "windows-1256"),
        (URDU, "windows-1256"),
        (ARABIC, "windows-1256"),
        (ARABIC, "iso8859-6"),
        (POLISH, "windows-1250"),
        (POLISH, "iso8859-2"),
        (FRENCH, "windows-1252"),
        (RUSSIAN * 2, "windows-1251"),
        (RUSSIAN * 2, "koi8-r"),
        (CHINESE, "gbk"),
    ],
)
def test_legacy_encodings_are_told_on_paragraphs(tmp_path: Path, text: str, encoding: str) -> None:
    text = text.replace("،", ",") if encoding == "iso8859-6" else text
    assert read_text(write(tmp_path, text.encode(encoding))) == text


@pytest.mark.parametrize("text", [LITHUANIAN, PERSIAN, URDU, TELUGU, "ab", "Eilutė\r\n\r\nkita\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_unicode_without_a_mark(tmp_path: Path, text: str, encoding: str) -> None:
    assert read_text(write(tmp_path, text.encode(encoding))) == text


MARKS = {
    "utf-8": codecs.BOM_UTF8,
    "utf-16-le": codecs.BOM_UTF16_LE,
    "utf-16-be": codecs.BOM_UTF16_BE,
    "utf-32-le": codecs.BOM_UTF32_LE,
    "utf-32-be": codecs.BOM_UTF32_BE,
}


@pytest.mark.parametrize("declared", ["", "windows-1257", "utf-8", "utf-16"])
@pytest.mark.parametrize("encoding", MARKS)
def test_a_byte_order_mark_is_believed_and_taken_off(tmp_path: Path, encoding: str, declared: str) -> None:
    path = write(tmp_path, MARKS[encoding] + TELUGU.encode(encoding))
    assert read_text(path, declared) == TELUGU
    assert list(read_lines(path, declared)) == [Line(1, TELUGU)]


def test_a_declared_encoding_is_used(tmp_path: Path) -> None:
    path = write(tmp_path, "Šiauliai".encode("windows-1257"))
    assert read_text(path, "windows-1257") == "Šiauliai"
    assert read_text(path, "windows-1252") == "Ðiauliai"
    assert read_text(write(tmp_path, "ab ą".encode("utf-16-be")), "utf-16-be") == "ab ą"
    assert read_text(write(tmp_path, "ab ą".encode("utf-16-le")), "utf-16") == "ab ą"


def test_an_uncertain_encoding_is_said_to_be_uncertain(tmp_path: Path) -> None:
    (item,) = read(write(tmp_path, "Šiauliai".encode("windows-1257")))
    assert isinstance(item, Rejected)
    assert item.where == "a.txt"
    assert "its encoding is uncertain (it may be cp1257, cp1252" in item.reason
    assert item.reason.endswith("name it with --encoding.")


def test_damaged_utf8_is_not_taken_for_a_legacy_encoding(tmp_path: Path) -> None:
    data = LITHUANIAN.encode() + b"\xff"
    where = f"byte 0xFF at offset {len(data) - 1:,}"
    assert read(write(tmp_path, data)) == [
        Rejected("a.txt", f"is not valid utf-8 ({where}); mend it, or name the encoding with --encoding.")
    ]


def test_text_that_does_not_fit_the_declared_encoding_is_rejected(tmp_path: Path) -> None:
    assert read(write(tmp_path, b"abc\xa5"), "windows-1257") == [
        Rejected("a.txt", "is not valid cp1257 (byte 0xA5 at offset 3); mend it, or name the encoding with --encoding.")
    ]


def test_a_legacy_letter_after_a_long_stretch_of_ascii_is_found(tmp_path: Path) -> None:
    text = "plain words \n" * 100_000 + LITHUANIAN
    assert read_text(write(tmp_path, text.encode("windows-1257"))) == text


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"text\0text", "a NUL byte at offset 4"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01", "a NUL byte at offset 8"),
        (b"\x7fELF\x02\x01\x01\x03\x05\x06", "of 10 characters are control characters"),
        (bytes(range(1, 32)) * 8, "of 248 characters are control characters"),
        (codecs.BOM_UTF8 + b"text\0", "a NUL byte at offset 7"),
        (b"plain words\n" * 100_000 + b"\0", "a NUL byte after 1,200,000 characters"),
    ],
)
def test_binary_content_is_rejected(tmp_path: Path, data: bytes, reason: str) -> None:
    (item,) = read(write(tmp_path, data))
    assert isinstance(item, Rejected)
    assert item.reason.startswith("is binary, not text (")
    assert reason in item.reason


def test_control_characters_that_text_holds_are_text(tmp_path: Path) -> None:
    text = "page one\f\npage two\ttab\v" * 3 + "\x1b"
    assert read_text(write(tmp_path, text.encode())) == text


def test_a_text_over_the_bound_is_rejected_unread(tmp_path: Path) -> None:
    path = write(tmp_path, b"")
    os.truncate(path, MAX_TEXT_BYTES + 1)
    assert read(path) == [
        Rejected(
            "a.txt", "is 268,435,457 bytes long, more than the 268,435,456 that are read as one document; split it."
        )
    ]


def test_lines_keep_their_ends(tmp_path: Path) -> None:
    path = write(tmp_path, "\ufeffa\r\nb\n\n\u2028c\rd".encode())
    assert list(read_lines(path)) == [Line(1, "a\r\n"), Line(2, "b\n"), Line(3, "\n"), Line(4, "\u2028c\rd")]
    assert list(read_lines(write(tmp_path, b""))) == []


def test_one_undecodable_line_costs_one_line(tmp_path: Path) -> None:
    first, second, third = read_lines(write(tmp_path, "ąčę\n".encode() + b"a\xffb\n" + "ėįš\n".encode()))
    assert (first, third) == (Line(1, "ąčę\n"), Line(3, "ėįš\n"))
    assert second.text == "a\ufffdb\n"
    assert second.problem == (
        "is not valid utf-8 (byte 0xFF at offset 1); mend it, or name the encoding with --encoding."
    )


def test_one_undecodable_line_of_utf16_costs_one_line(tmp_path: Path) -> None:
    data = codecs.BOM_UTF16_LE + "ą\n".encode("utf-16-le") + b"\x00\xd8" + "\nč".encode("utf-16-le")
    lines = list(read_lines(write(tmp_path, data)))
    assert [line.number for line in lines if line.problem] == [2]
    assert [line.text for line in lines if not line.problem] == ["ą\n", "č"]


@pytest.mark.parametrize("encoding", MARKS)
def test_bytes_0a_inside_characters_do_not_end_lines(tmp_path: Path, encoding: str) -> None:
    # U+0A05, U+050A and U+0A0A have the byte 0A in either half.
    text = "ਅԊ\u0a0a\n\u0a0aਅ\nԊ"
    path = write(tmp_path, MARKS[encoding] + text.encode(encoding))
    assert [line.text for line in read_lines(path)] == text.splitlines(keepends=True)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le"])
def test_a_line_over_the_bound_is_skipped_without_being_held(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as stream:
        stream.write(MARKS[encoding] + "first\n".encode(encoding))
        stream.write("x".encode(encoding) * (MAX_LINE_BYTES + 1) + "\n".encode(encoding))
        stream.write("third".encode(encoding))
    problem = "the line is longer than 16,777,216 bytes; split the record."
    assert list(read_lines(path)) == [Line(1, "first\n"), Line(2, "", problem, is_too_long=True), Line(3, "third")]


def test_a_line_as_long_as_the_bound_is_read(tmp_path: Path) -> None:
    path = write(tmp_path, b"x" * MAX_LINE_BYTES + b"\n")
    (line,) = read_lines(path)
    assert len(line.text) == MAX_LINE_BYTES + 1
    (line,) = read_lines(write(tmp_path, b"x" * (MAX_LINE_BYTES + 1)))
    assert line.is_too_long


def test_an_encoding_without_line_ends_of_its_own_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read line by line in cp037; convert it to UTF-8"):
        next(read_lines(write(tmp_path, b"\x81\x82"), "cp037"))


# Text of any script; control characters make it binary, and a text of blanks alone is empty.
ANY_TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), include_characters="\t\n\r")).filter(str.strip)


@settings(max_examples=100, deadline=None)
@given(text=ANY_TEXT, encoding=st.sampled_from(list(MARKS)))
def test_any_text_with_a_mark_round_trips(tmp_path_factory: pytest.TempPathFactory, text: str, encoding: str) -> None:
    path = write(tmp_path_factory.getbasetemp(), MARKS[encoding] + text.encode(encoding), "any.txt")
    (document,) = read(path)
    assert isinstance(document, Document)
    assert document.text == text


@settings(max_examples=100, deadline=None)
@given(text=ANY_TEXT.filter(lambda text: not text.startswith("\ufeff")))
def test_any_text_in_utf8_round_trips(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    (document,) = read(write(tmp_path_factory.getbasetemp(), text.encode(), "any.txt"))
    assert isinstance(document, Document)
    assert document.text == text


@settings(max_examples=150, deadline=None)
@given(data=st.binary(max_size=400) | ANY_TEXT.map(str.encode), suffix=st.sampled_from(supported_suffixes()))
def test_random_bytes_raise_nothing(tmp_path_factory: pytest.TempPathFactory, data: bytes, suffix: str) -> None:
    path = write(tmp_path_factory.getbasetemp(), data, f"random{suffix}")
    for encoding in ("", "utf-8", "windows-1257", "utf-16"):
        items = read(path, encoding)
        assert items
        assert all(isinstance(item, Document | Rejected) for item in items)
