"""The page's files themselves: nothing from elsewhere, no markup made of text, every string in one place."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.browsing import find_browser
from tests.builds import ROOT

FOLDER = ROOT / "search" / "web"
FILES = sorted(FOLDER.iterdir())
SCRIPTS = [path for path in FILES if path.suffix == ".js"]
ALL_SCRIPTS = "\n".join(path.read_text("utf-8") for path in SCRIPTS)
PAGE = (FOLDER / "index.html").read_text("utf-8")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_no_file_names_another_host(path: Path) -> None:
    text = path.read_text("utf-8").replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://|@import|url\(", text)
    assert len(text.splitlines()) <= 400


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_no_script_makes_markup_of_text(path: Path) -> None:
    text = path.read_text("utf-8")
    made = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|new Function|DOMParser|setHTML|srcdoc"
    assert not re.search(made, text)


def test_the_page_holds_no_script_and_no_style_of_its_own() -> None:
    assert not re.search(r"<style|style=|\son\w+=|javascript:", PAGE)
    assert re.findall(r"<script[^>]*>(.*?)</script>", PAGE, re.S) == ["", ""]


def test_every_string_is_in_one_place_and_used() -> None:
    words = (FOLDER / "words.js").read_text("utf-8")
    table = words[words.index("const en = {") : words.index("\n};")]
    keys = set(re.findall(r"^  (\w+):", table, re.M))
    assert len(keys) > 60
    in_page = set(re.findall(r'data-(?:word|label)="(\w+)"', PAGE))
    assert in_page <= keys
    quoted = set(re.findall(r'"(\w+)"', ALL_SCRIPTS.replace(table, "")))
    made = {f"at_{kind}" for kind in ("page", "slide", "chapter")} | {
        f"theme_{one}" for one in ("system", "light", "dark")
    }
    made |= {"away", "away_how", "busy", "loading", "broken", "broken_how", "refused", "refused_how"}
    assert keys - in_page - quoted - made == set()
    asked = set(re.findall(r'\btold(?:Nodes)?\(\s*"(\w+)"', ALL_SCRIPTS))
    assert asked <= keys
    visible = re.sub(r"<noscript>.*?</noscript>|<title>.*?</title>|<[^>]*>", "", PAGE, flags=re.S)
    assert visible.split() == ["manytongues"]


def test_a_missing_browser_is_told_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(RuntimeError, match=r"scripts/browser\.sh"):
        find_browser()
