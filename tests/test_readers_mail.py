"""Mail: subjects, texts, encodings, files attached, messages within messages, mailboxes."""

from __future__ import annotations

import contextlib
import email
import email.policy
import mailbox
import sys
import time
from email.message import EmailMessage
from pathlib import Path

import pytest

from index.config import FieldNames
from index.readers import SourceFile
from index.readers.mail_parts import parts_of
from index.readers.registry import read_here
from index.records import Document, Rejected
from tests.reading_files import FILES, in_order, items, reason

HEADERS = "From: a@example.org\nSubject: Laiškas\nDate: Tue, 3 Sep 2024 10:15:00 +0300\n"


def saved(tmp_path: Path, data: bytes | EmailMessage, name: str = "a.eml") -> Path:
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.as_bytes(policy=email.policy.SMTP))
    return path


def letter(text: str = "Laba diena.", subject: str = "Laiškas") -> EmailMessage:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.org", "b@example.org", subject
    message.set_content(text)
    return message


def documents(path: Path, encoding: str = "") -> list[Document]:
    found = items(path, encoding)
    assert not [item for item in found if isinstance(item, Rejected) and not item.passed_over]
    return [item for item in found if isinstance(item, Document)]


def test_a_message_as_outlook_writes_it() -> None:
    message, attached, forwarded = documents(FILES / "outlook-fa.eml")
    assert message.doc_id == "outlook-fa.eml"
    assert message.title == "هفت روز کاری برای پشيماني و پس دادن کالا"
    in_order(message.text, "سلام،\nبسته ديروز رسيد،", "با احترام\nمهسا", "From: فروشگاه", "سفارش شما ارسال شد.")
    assert "HTML" not in message.text
    assert message.metadata == {
        "from": "مهسا کریمی <mahsa@example.ir>",
        "to": "Rasa <rasa@example.lt>",
        "cc": "jonas@example.lt",
        "date": "2024-09-03T10:15:00+03:30",
        "message_id": "<01DAFDB2@example.ir>",
        "attachments": ["sąlygos.md", "forwarded.eml", "photo.png"],
    }
    assert (attached.doc_id, attached.title) == ("outlook-fa.eml/sąlygos.md", "Grąžinimo sąlygos")
    assert attached.text == "# Grąžinimo sąlygos\n\nPrekę galima grąžinti per keturiolika dienų.\n"
    assert (forwarded.doc_id, forwarded.title) == ("outlook-fa.eml/forwarded.eml", "Jūsų užsakymas išsiųstas")
    assert forwarded.text == "Siunta išvežta rugsėjo antrą dieną, kurjeris paskambins prieš atvažiuodamas."
    assert {item.source for item in (message, attached, forwarded)} == {"in/outlook-fa.eml"}


def test_a_message_as_gmail_writes_it() -> None:
    (message,) = documents(FILES / "gmail-te.eml")
    assert message.title == "ఫ్రిజ్ చెడిపోయింది, ఏం చేయాలి?"
    in_order(
        message.text,
        "నిజామాబాద్‌కు చెందిన అంగన్‌వాడీ టీచర్",
        "\n- బిల్లు నకలు\n- వారంటీ కార్డు\n",
        "wrote:",
        "Ar gavote mūsų atsakymą?",
    )
    assert message.metadata["from"] == "Sujatha Bāiri <sujatha@example.com>"
    assert message.metadata["date"] == "2024-09-04T18:22:07+05:30"


@pytest.mark.parametrize(
    ("declared", "written", "encoding"),
    [
        ("windows-1257", "cp1257", ""),
        ("iso-8859-1", "utf-8", ""),
        ("us-ascii", "cp1257", ""),
        ("no-such", "cp1257", ""),
        ("no-such", "cp1257", "cp1257"),
        ("", "utf-8", ""),
    ],
)
def test_charsets_declared_rightly_wrongly_or_not_at_all(
    tmp_path: Path, declared: str, written: str, encoding: str
) -> None:
    text = "Žąsys ėjo pro šalį, o ūkininkas čia pat skaičiavo šešis žąsiukus ir vieną gąsdinančią žiurkę."
    kind = f'Content-Type: text/plain; charset="{declared}"\n' if declared else ""
    path = saved(tmp_path, f"From: a@example.org\n{kind}\n".encode() + text.encode(written))
    (message,) = documents(path, encoding)
    assert message.text == text


def test_a_few_bytes_that_cannot_be_decoded_are_told_in_the_metadata(tmp_path: Path) -> None:
    text = "Žąsys ėjo pro šalį. ".encode() * 20
    path = saved(tmp_path, b'From: a@example.org\nContent-Type: text/plain; charset="utf-8"\n\n' + text + b"\xff")
    (message,) = documents(path)
    assert message.text.endswith("�")
    assert message.metadata["damage"] == "1 characters of its text are not valid utf-8"


def test_subjects_written_against_the_rules(tmp_path: Path) -> None:
    raw = "Subject: کالای سالم پس گرفته نمی‌شود\nFrom: مهسا\nDate: vakar\n\nTekstas.".encode()
    (message,) = documents(saved(tmp_path, raw))
    assert message.title == "کالای سالم پس گرفته نمی‌شود"
    assert (message.metadata["from"], message.metadata["date"]) == ("مهسا", "vakar")


def test_files_of_formats_that_are_read_are_documents_of_their_own(tmp_path: Path) -> None:
    message = letter()
    word, table = (FILES / "office.docx").read_bytes(), b"text,title\nPirmas.,A\nAntras.,B\n"
    message.add_attachment(word, maintype="application", subtype="octet-stream", filename="C:\\failai\\Kainos.DOCX")
    message.add_attachment(table, maintype="text", subtype="csv", filename="../../a.csv")
    message.add_attachment(word, maintype="application", subtype="octet-stream", filename="Kainos.DOCX")
    message.add_attachment(b"PK", maintype="application", subtype="zip", filename="a.zip")
    read = documents(saved(tmp_path, message))
    assert [item.doc_id for item in read] == [
        "a.eml", "a.eml/Kainos.DOCX", "a.eml/a.csv:2", "a.eml/a.csv:3", "a.eml/Kainos (2).DOCX"
    ]  # fmt: skip
    assert read[1].text.startswith("# Eilė ir vizitai\n")
    assert [item.text for item in read[2:4]] == ["Pirmas.", "Antras."]
    assert read[0].metadata["attachments"] == ["Kainos.DOCX", "a.csv", "Kainos (2).DOCX", "a.zip"]


def test_a_damaged_file_attached_is_told_and_the_rest_read(tmp_path: Path) -> None:
    message = letter()
    message.add_attachment(b"x", maintype="application", subtype="octet-stream", filename="a.docx")
    read, rejected = items(saved(tmp_path, message))
    assert isinstance(read, Document)
    assert isinstance(rejected, Rejected)
    assert rejected.where == "in/a.eml/a.docx"
    assert "cannot be read as a .docx file" in rejected.reason


def test_messages_within_messages_end_somewhere(tmp_path: Path) -> None:
    message = letter("Giliausia.", "0")
    for n in range(1, 8):
        outer = letter(f"Sluoksnis {n}.", str(n))
        outer.add_attachment(message)
        message = outer
    *read, rejected = items(saved(tmp_path, message))
    assert [item.text for item in read if isinstance(item, Document)] == [f"Sluoksnis {n}." for n in (7, 6, 5, 4)]
    assert isinstance(rejected, Rejected)
    assert rejected.where == "in/a.eml" + "/forwarded.eml" * 4
    assert rejected.reason == "is a message within 4 others; save it by itself."


def test_the_text_of_a_page_is_read_when_the_plain_one_says_nothing(tmp_path: Path) -> None:
    message = letter(" \n")
    message.add_alternative("<p>Sveiki,<br>čia <b>naujienos</b></p><div style='display: none'>x</div>", "html")
    (read,) = documents(saved(tmp_path, message))
    assert read.text == "Sveiki,\nčia naujienos"


def test_a_mailbox_is_a_document_a_message(tmp_path: Path) -> None:
    messages = [letter("Pirmas.\nFrom here on.", "A"), letter("", "B"), letter("پیام سوم.", "ج")]
    messages[0].add_attachment("Priedas.", filename="p.txt")
    path = tmp_path / "inbox.mbox"
    with contextlib.closing(mailbox.mbox(path)) as box:
        for message in messages:
            box.add(message)
    before = path.read_bytes()
    assert b"\n>From " in before
    first, attached, empty, third = items(path)
    assert isinstance(first, Document)
    assert isinstance(attached, Document)
    assert isinstance(third, Document)
    assert [item.doc_id for item in (first, attached, third)] == ["inbox.mbox:1", "inbox.mbox:1/p.txt", "inbox.mbox:3"]
    assert (first.text, third.text, third.title) == ("Pirmas.\nFrom here on.", "پیام سوم.", "ج")
    assert empty == Rejected("in/inbox.mbox:2", "is empty; write something in it or remove it.")
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.eml", b"", "is no message"),
        ("a.eml", b"Just some text.\n", "is no message"),
        ("a.eml", b"From: a@example.org\n\n", "is empty"),
        ("a.mbox", b"", "holds no message"),
        ("a.mbox", b"text\n", "holds no message"),
    ],
)
def test_what_is_no_message_is_told(tmp_path: Path, name: str, data: bytes, told: str) -> None:
    assert told in reason(saved(tmp_path, data, name))


def mixed(*parts: str, kind: str = "mixed") -> bytes:
    """Write a message of parts, each with its own header."""
    head = f"From: a@example.org\nSubject: x\nContent-Type: multipart/{kind}; boundary=BB\n\n"
    return (head + "".join(f"--BB\n{part}\n" for part in parts) + "--BB--\n").encode()


PLAIN, PAGE = "Content-Type: text/plain; charset=utf-8\n", "Content-Type: text/html; charset=utf-8\n"
PICTURE = 'Content-Type: image/png; name="a.png"\nContent-Disposition: inline; filename="a.png"\n\nx'
BOTH = "Content-Type: multipart/alternative; boundary=CC\n\n--CC\n{}\n--CC\n{}\n--CC--\n"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([f"{PLAIN}\nPrieš.", PICTURE, f"{PLAIN}\nPo.", f"{PAGE}\n<p>Pabaiga.</p>"], "Prieš.\n\nPo.\n\nPabaiga."),
        (
            [BOTH.format(f"{PLAIN}\nTekstas.", f"{PAGE}\n<p>Puslapis.</p>"), f"{PLAIN}\nSąrašas."],
            "Tekstas.\n\nSąrašas.",
        ),
        ([BOTH.format(f"{PLAIN}\n ", f"{PAGE}\n<p>Puslapis.</p>"), f"{PLAIN}\nSąrašas."], "Puslapis.\n\nSąrašas."),
        ([f"{PAGE}\n<p>Puslapis.</p>", f"{PLAIN}\nSąrašas."], "Puslapis.\n\nSąrašas."),
    ],
    ids=["picture between", "forms, then a footer", "a blank form", "a page, then a footer"],
)
def test_every_part_of_a_text_is_read(tmp_path: Path, parts: list[str], text: str) -> None:
    (read,) = items(saved(tmp_path, mixed(*parts)))
    assert isinstance(read, Document)
    assert read.text == text


def test_files_among_the_forms_of_a_text_are_read(tmp_path: Path) -> None:
    table = 'Content-Type: text/csv; name="a.csv"\n\ntext\nPirmas.'
    forms = mixed(
        f"{PLAIN}\nTekstas.", mixed(f"{PAGE}\n<p>Puslapis.</p>", table).decode().replace("BB", "DD"), kind="alternative"
    )
    read = documents(saved(tmp_path, forms))
    assert [(item.doc_id, item.text) for item in read] == [("a.eml", "Tekstas."), ("a.eml/a.csv:2", "Pirmas.")]


def test_a_part_that_cannot_be_read_leaves_the_others(tmp_path: Path) -> None:
    data = mixed(f"{PLAIN}\nTekstas.", f"{PLAIN}\nBYTES").replace(b"BYTES", bytes(range(128, 192)) + b"\0")
    read, rejected = items(saved(tmp_path, data))
    assert isinstance(read, Document)
    assert read.text == "Tekstas."
    assert "a part of its text is binary" in str(rejected)


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("--- Results for May: sales fell ---", "Results for May: sales fell"),
        ("-----Original Message-----", "Original Message"),
        ("  ------------  ", ""),
        ("---", "---"),
        ("--- | ---", "--- | ---"),
        ("--- a --", "--- a --"),
    ],
)
def test_words_between_dashes_stay(tmp_path: Path, line: str, told: str) -> None:
    (read,) = documents(saved(tmp_path, letter(f"Viena.\n{line}\nDvi.")))
    assert read.text == f"Viena.\n{told}\nDvi."


def test_a_line_of_dashes_takes_no_time(tmp_path: Path) -> None:
    path = saved(tmp_path, b"From: a@example.org\n\nViena.\n" + (b"-" * 5_000 + b"x\n") * 20)
    began = time.perf_counter()
    (read,) = documents(path)
    assert time.perf_counter() - began < 10
    assert read.text.count("x") == 20


def test_records_of_tables_of_two_messages_have_ids_of_their_own(tmp_path: Path) -> None:
    path = tmp_path / "w.mbox"
    with contextlib.closing(mailbox.mbox(path)) as box:
        for text in ("Pirmas.", "Antras."):
            message = letter(text)
            message.add_attachment(f"id,text\n1,{text}\n".encode(), maintype="text", subtype="csv", filename="w.csv")
            record = f'{{"id": "2", "text": "{text}"}}\n'.encode()
            message.add_attachment(record, maintype="application", subtype="x-ndjson", filename="w.jsonl")
            box.add(message)
    assert [item.doc_id for item in documents(path)] == [
        "w.mbox:1", "w.mbox:1/w.csv/1", "w.mbox:1/w.jsonl/2", "w.mbox:2", "w.mbox:2/w.csv/1", "w.mbox:2/w.jsonl/2"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "names", "id_of_file"),
    [
        ("text/csv", "", "a.eml/unnamed.csv:2"),
        ("text/csv", '; name="lentelė"', "a.eml/lentelė:2"),
        ("text/markdown", "", "a.eml/unnamed.md"),
    ],
)
def test_the_type_tells_the_format_of_a_file_without_a_suffix(
    tmp_path: Path, kind: str, names: str, id_of_file: str
) -> None:
    part = f"Content-Type: {kind}{names}\nContent-Disposition: attachment\n\ntext\nPirmas."
    read = documents(saved(tmp_path, mixed(f"{PLAIN}\nLaba diena.", part)))
    assert [item.doc_id for item in read] == ["a.eml", id_of_file]
    assert read[1].text.endswith("Pirmas.")


def test_a_message_that_is_only_a_file_is_read(tmp_path: Path) -> None:
    data = b"From: a@example.org\nContent-Type: text/csv\n\ntext\nPirmas.\n"
    rejected, read = items(saved(tmp_path, data))
    assert rejected == Rejected("in/a.eml", "has no text beside the files attached to it.", passed_over=True)
    assert isinstance(read, Document)
    assert (read.doc_id, read.text) == ("a.eml/unnamed.csv:2", "Pirmas.")


def test_files_that_are_not_read_are_told(tmp_path: Path) -> None:
    message = letter()
    for n in range(7):
        message.add_attachment(b"x", maintype="application", subtype="zip", filename=f"{n}.zip")
    message.add_attachment(b"x", maintype="image", subtype="png", disposition="inline", filename="logo.png")
    _, rejected = items(saved(tmp_path, message))
    assert isinstance(rejected, Rejected)
    assert rejected.passed_over
    assert "(0.zip, 1.zip, 2.zip, 3.zip, 4.zip and 2 more)" in rejected.reason


def test_more_files_than_are_read_are_not_named_either(tmp_path: Path) -> None:
    part = 'Content-Type: application/zip; name="a.zip"\n\nx'
    path = saved(tmp_path, mixed(f"{PLAIN}\nLaba.", *[part] * 600))
    read, too_many, _ = items(path)
    assert isinstance(read, Document)
    names = read.metadata["attachments"]
    assert isinstance(names, list)
    assert (len(names), len(set(names)), names[1]) == (200, 200, "a (2).zip")
    assert "has more than 200 files attached" in str(too_many)


def test_messages_that_need_no_missing_library_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.mbox"
    page = letter()
    page.set_content("<p>Puslapis.</p>", "html")
    page.add_attachment("Priedas.", filename="p.txt")
    with contextlib.closing(mailbox.mbox(path)) as box:
        for message in (letter("Pirmas."), page, letter("Trečias.")):
            box.add(message)
    monkeypatch.setitem(sys.modules, "lxml", None)
    file = SourceFile(str(path), "in/a.mbox", "a.mbox", path.stat().st_size)
    first, rejected, attached, third = read_here(file, fields=FieldNames(), encoding="")
    texts = [item.text for item in (first, attached, third) if isinstance(item, Document)]
    assert [text.strip() for text in texts] == ["Pirmas.", "Priedas.", "Trečias."]
    assert isinstance(rejected, Rejected)
    assert (rejected.where, rejected.out_of_reach) == ("in/a.mbox:2", True)


def test_parts_that_nobody_would_look_for_are_no_files() -> None:
    picture = "Content-Type: image/png\nContent-ID: <a>\n\nx"
    signature = "Content-Type: application/pgp-signature\n\nx"
    message = email.message_from_bytes(mixed(f"{PLAIN}\nA.", picture, signature), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    parts = parts_of(message)
    assert (len(parts.texts), parts.files) == (1, ())
    resource = f"{PAGE}Content-ID: <b>\n\n<p>Kitas.</p>"
    related = mixed(f"{PAGE}\n<p>A.</p>", resource, kind="related")
    message = email.message_from_bytes(related, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    parts = parts_of(message)
    assert (len(parts.texts), len(parts.files)) == (1, 1)
