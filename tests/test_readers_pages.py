"""Web pages: main text, headings, tables, encodings, languages and what pages say of themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.reading_files import FILES, document, in_order, reason

NEWS = [
    "# Nuolaida, kuria niekas nebetikėjo\n",
    "Dvylika metų Alytaus batų parduotuvės „Žingsnis“ vitrinoje kabojo",
    "\n## Kainos lentynoje\n",
    "\n| Batai | Kaina |\n| Aulinukai | 140 eurų |\n| Šlepetės | 15 eurų |\n",
    "\n- Pirmas dalykas: kaina nesikeičia\n- Antras dalykas: pinigai grąžinami\n",
    "\nPradžia buvo nelengva.",
]


def page(tmp_path: Path, data: str | bytes, name: str = "a.html") -> Path:
    path = tmp_path / name
    path.write_bytes(data if isinstance(data, bytes) else data.encode())
    return path


def test_the_article_of_a_page_is_read_without_what_is_around_it() -> None:
    read = document("news-lt.html")
    in_order(read.text, *NEWS)
    for around in ("Pradžia\n", "Sportas", "Iš skripto", "margin", "Kitas straipsnis", "teisės saugomos"):
        assert around not in read.text
    assert (read.title, read.title_in_text) == ("Nuolaida, kuria niekas nebetikėjo", True)
    assert read.lang == ""  # it declares en-US
    assert read.metadata == {
        "author": "Rūta Žukaitė",
        "date": "2024-09-12",
        "url": "https://alytus.example/nuolaida",
        "site": "Alytaus žinios",
    }


def test_a_page_is_read_the_same_after_others() -> None:
    first = document("news-lt.html")
    for _ in range(3):
        document("pandoc-fa.html")
        assert document("news-lt.html") == first


@pytest.mark.parametrize(
    ("name", "lang", "pieces"),
    [
        (
            "browser-te.html",
            "te",
            ["# చెడిపోయిన ఫ్రిజ్, మొండికేసిన దుకాణం", "నిజామాబాద్‌కు చెందిన", "## ముందు రాతపూర్వకంగా అడగండి", "1915కు ఫోను చేసి"],
        ),
        (
            "pandoc-fa.html",
            "fa",
            ["# هفت روز کاری برای پشیمانی", "آپارتمان ۵۵ متری‌اش زیادی", "## قانون چه می‌گوید", "## مهسا چه کرد"],
        ),
        (
            "notice-ur.xhtml",
            "ur",
            ["# فریج خراب نکلے تو پہلے نوٹس", "گوجرانوالہ کی نادیہ", "## قانون کیا کہتا ہے", "## نادیہ نے کیا کیا"],
        ),
        (
            "office.html",
            "",
            [
                "# Eilė ir vizitai",
                "Vizitas užsakomas telefonu.",
                "## Kainos",
                "- kirpimas – 15 eurų\n- dažymas – 40 eurų",
                "| Diena | Valandos |\n| Antradienis | 9–18 |",
                "Galinė pastaba",
            ],
        ),
    ],
)
def test_pages_of_other_programs(name: str, lang: str, pieces: list[str]) -> None:
    read = document(name)
    in_order(read.text, *pieces)
    assert read.lang == lang
    assert read.title


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1257", "iso8859-13"])
@pytest.mark.parametrize("declared", ["windows-1257", "utf-8", "", "iso-8859-13", "no-such-one"])
def test_encodings_declared_rightly_wrongly_or_not_at_all(tmp_path: Path, encoding: str, declared: str) -> None:
    text = (FILES / "news-lt.html").read_bytes().decode("cp1257")
    text = text.replace("–", "-")  # which ISO 8859-13 lacks
    told = text.replace('charset="windows-1257"', f'charset="{declared}"' if declared else "name")
    path = page(tmp_path, told.encode(encoding))
    wrong = {encoding, declared} == {"cp1257", "iso-8859-13"} or {encoding, declared} == {"iso8859-13", "windows-1257"}
    if not wrong:  # these two differ in quotation marks alone, so a page that mixes them up cannot be told
        in_order(document(path).text, *NEWS)
    in_order(document(path, encoding).text, *NEWS)


@pytest.mark.parametrize(
    ("declared", "lang"),
    [
        ("lt", "lt"),
        ("lt-LT", "lt"),
        ("lt_LT", "lt"),
        ("en", ""),
        ("fa", ""),
        ("", ""),
        ("sgs", "sgs"),
        ("Lietuvių", ""),
    ],
)
def test_a_language_is_declared_only_when_the_text_is_in_it(tmp_path: Path, declared: str, lang: str) -> None:
    text = (FILES / "news-lt.html").read_bytes().decode("cp1257").replace("windows-1257", "utf-8")
    assert document(page(tmp_path, text.replace("en-US", declared))).lang == lang


@pytest.mark.parametrize(
    ("declared", "title"),
    [
        ("Skelbimas – Alytaus žinios", "Skelbimas"),
        ("Skelbimas", "Skelbimas"),
        ("", "Skelbimas"),
        ("Skelb", "Skelbimas"),
        ("Lenta", "Lenta"),
    ],
)
def test_the_title_is_the_heading_that_the_head_declares(tmp_path: Path, declared: str, title: str) -> None:
    menu = "<div><h2>Klaviatūros klavišai</h2><p>Paspauskite ←</p></div>"
    text = "<p>" + "Parduodamas beveik naujas dviratis, pasiimti Alytuje. " * 8 + "</p>"
    path = page(tmp_path, f"<head><title>{declared}</title></head><body><h1>Skelbimas</h1>{text}{menu}</body>")
    assert document(path).title == title


def test_a_page_of_few_words_is_read_whole(tmp_path: Path) -> None:
    path = page(tmp_path, "<title>Darbo laikas</title><body><p>Dirbame iki šeštos.<script>x</script><p hidden>ne</p>")
    read = document(path)
    assert (read.text, read.title, read.title_in_text) == ("Dirbame iki šeštos.", "Darbo laikas", False)


def test_a_table_that_arranges_a_page_is_no_table(tmp_path: Path) -> None:
    cells = "<td><p>Meniu</p></td><td><h2>Skelbimas</h2><p>" + "Parduodamas dviratis. " * 30 + "</p></td>"
    text = document(page(tmp_path, f"<body><table><tr>{cells}</tr></table></body>")).text
    in_order(text, "Skelbimas", "Parduodamas dviratis.")
    assert "|" not in text


@pytest.mark.parametrize(
    ("data", "told"),
    [
        ("", "is empty"),
        ("   \n", "is empty"),
        ("<html><body><script>render()</script></body></html>", "shows no text (it may be filled in by a script)"),
        ("<html><body><img src='a.png'></body></html>", "shows no text"),
        (bytes(range(256)) * 4, "is binary"),
    ],
)
def test_a_page_without_text_is_told(tmp_path: Path, data: str | bytes, told: str) -> None:
    assert told in reason(page(tmp_path, data))
