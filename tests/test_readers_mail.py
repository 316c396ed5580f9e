"""Mail: subjects, texts, encodings, files attached, messages within messages, mailboxes."""

from __future__ import annotations

import contextlib
import email.policy
import mailbox
from email.message import EmailMessage
from pathlib import Path

import pytest

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
    assert not [item for item in found if isinstance(item, Rejected)]
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
