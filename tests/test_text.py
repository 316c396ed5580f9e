"""What a model reads of a text, and the lines of a document that are not its text."""

from __future__ import annotations

import itertools
import time
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.records import LeftOutKind
from index.text import find_left_out, for_model, iter_lines

TEXT = st.text(st.sampled_from("ab Aą\t\r\n:.-|#`~{}%$[]<>!పు؟۔é\u0301\u200e\u00ad") | st.characters(), max_size=200)


def left_out(text: str) -> list[tuple[str, str]]:
    """Return the spans left out as (kind, text)."""
    return [(span.kind.value, text[span.start : span.end]) for span in find_left_out(text)]


@pytest.mark.parametrize(
    "line",
    [
        "$config[footer] not found",
        "$cfg['site name'] not found",
        "{{ page.title }}",
        "{% include 'menu.html' %}",
        "<% menu %>",
        "${user.name}",
        "{{ a }}, {{ b }} | {{ c }}",
        "%%FOOTER%%",
        "Anonim",
        "Anonymous",
        "anonyme",
        "undefined",
        "[object Object]",
        "Tags: {{ tags }}",
        "# {{ page.title }}",
        "By Anonymous",
        "[Your name here]",
        "<!-- a comment -->",
        "<!--narrow-->",
        "<!-- one --> <!-- two -->",
        "-- end of the menu -->",
        "Lorem ipsum dolor sit amet",
    ],
)
def test_what_a_template_left_behind_is_no_text(line: str) -> None:
    text = f"Pirmas sakinys.\n  {line}  \nAntras sakinys."
    assert left_out(text) == [("template", line)]


@pytest.mark.parametrize(
    "line",
    [
        "$config[footer] is read from a file",
        "$config[footer] not found in row 7",
        "Use {{ page.title }} for the title",
        "It costs $5 and {more}",
        "Anonymous wrote this.",
        "An undefined value",
        "- something",
        "- press A -> B ->",
        "<!-- one --> words that a reader sees <!-- two -->",
        "- first <b>bold</b> ->",
        "-> see below",
        "---",
        "| | |",
        "a | b",
        ",",
    ],
)
def test_text_that_only_looks_like_a_template_stays(line: str) -> None:
    assert left_out(f"Pirmas sakinys.\n{line}\nAntras sakinys.") == []


def test_a_comment_cut_at_both_ends_stands_alone() -> None:
    assert left_out("Pirmas.\n\n- meniu pabaiga ->\n\nAntras.") == [("template", "- meniu pabaiga ->")]
    assert left_out("Kaip:\n- Atidarykite Nustatymai ->\n- Spauskite Gerai ->") == []


def test_front_matter_is_one_span_with_its_end_of_line() -> None:
    front = "---\ntitle: Upė\ntags:\n  - a\n- b\n# note\nurl: http://x.lt\n---\n"
    assert left_out(f"{front}Tekstas: žr. toliau.\n") == [("template", front)]
    crlf = front.replace("\n", "\r\n")
    assert left_out(f"{crlf}Tekstas.") == [("template", crlf)]
    old_mac = front.replace("\n", "\r")
    assert left_out(f"{old_mac}Tekstas.") == [("template", old_mac)]
    assert left_out("---\ntitle: x\n---") == [("template", "---\ntitle: x\n---")]
    assert left_out("---\ntitle: x\n...\nTekstas.") == [("template", "---\ntitle: x\n...\n")]


@pytest.mark.parametrize(
    "text",
    [
        "---\nLaiškas.\n---\nTekstas.",
        "---\n\n---\nTekstas.",
        "---\nGerbiamas Jonai: rašau jums.\n\nIlgas laiškas.\n---\nPabaiga.",
        "---\nkey: value\nbe pabaigos",
        "---- \nkey: value\n---\n",
        " ---\nkey: value\n---\n",
    ],
)
def test_a_rule_at_the_top_of_a_text_is_no_front_matter(text: str) -> None:
    assert left_out(text) == []


def test_front_matter_without_an_end_takes_no_time() -> None:
    started = time.monotonic()
    assert left_out("---\r\n" + "".join(f"k{i}: v\r\n" for i in range(20_000))) == []
    assert time.monotonic() - started < 5


def test_a_caption_is_left_out_once_it_was_said() -> None:
    text = "Senoji pilis ant kalno\nSenoji pilis ant kalno\n\nImage: Senoji  PILIS ant kalno\n\nPilis stovi ant kalno."
    assert left_out(text) == [("repeated", "Senoji pilis ant kalno"), ("repeated", "Image: Senoji  PILIS ant kalno")]


@pytest.mark.parametrize(
    "text",
    [
        "Oi tu rūta žalioji\nOi tu rūta žalioji\nko neželi\n\nOi tu rūta žalioji\nOi tu rūta žalioji\nko neželi",
        "Jonas Jonaitis\nDirba nuo 8 iki 17\n\nRasa Rasaitė\nDirba nuo 8 iki 17\n\nOna Onaitė\nDirba nuo 8 iki 17",
        "Lempa\nGarantija: dveji metai\n\nStalas\nGarantija: dveji metai\n\nKėdė\nGarantija: dveji metai",
        "Ar vėluos?\nAtsakymas: taip, žinoma\n\nAr grįš?\nAtsakymas: taip, žinoma",
        "### Ko reikia gaminimui\nMiltai.\n\n### Ko reikia gaminimui\nBulvės.\n\n### Ko reikia gaminimui\nMėsa.",
        "Taip:\n\n    pip install foo\n\n    pip install foo\n\nBaigta.",
        "ہم دیکھیں گے\nلازم ہے کہ ہم بھی\n\nہم دیکھیں گے\nوہ دن کہ جس کا وعدہ ہے\n\nہم دیکھیں گے\nجب وقت آئے گا",
    ],
)
def test_lists_catalogues_recipes_and_songs_stay_whole(text: str) -> None:
    assert left_out(text) == []


@pytest.mark.parametrize(("page_lines", "expected"), [(10, 2), (8, 0)])
def test_a_running_title_is_left_out_wherever_it_comes_back(page_lines: int, expected: int) -> None:
    page = "".join(f"Sakinys {{0}}.{i}.\n" for i in range(page_lines))
    text = "".join("Miesto kronika 1998\n" + page.format(n) for n in range(3))
    spans = find_left_out(text)
    assert [span.kind for span in spans] == [LeftOutKind.REPEATED] * expected
    starts = [i for i in range(1, len(text)) if text.startswith("Miesto", i)]
    assert [span.start for span in spans] == starts[:expected]


@pytest.mark.parametrize(
    "line",
    ["Taip", "1998", "12 34", "— Taip.", "Yes.", "“Yes, my lord!”", "JOHN:", "Kodėl gi ne?", "ہاں جی۔", "| x | y z |"],
)
def test_honest_repetitions_stay(line: str) -> None:
    assert left_out(f"{line}\nPirmas sakinys.\n{line}\nAntras sakinys.\n{line}\nTrečias sakinys.") == []


def test_a_label_that_introduces_nothing_is_left_out() -> None:
    text = "Tekstas čia.\nTurinys:\n{{ toc }}\nToliau.\n\nParsisiųsti:"
    assert left_out(text) == [("label", "Turinys:"), ("template", "{{ toc }}"), ("label", "Parsisiųsti:")]


@pytest.mark.parametrize(
    "text",
    ["Turinys:\nPirmas skyrius.", "Turinys:", "Šie keturi žodžiai yra per daug:", "Vienas.\nJis tada taip ir pasakė:"],
)
def test_a_label_that_introduces_something_stays(text: str) -> None:
    assert left_out(text) == []


def test_lines_of_stanzas_and_rows_of_columns_stay() -> None:
    assert left_out("Kur bėgi, upe,\nKur bėgi, upe,\na b\tc d\na b\tc d\n" + f"{'x ' * 101}\n" * 2) == []


@pytest.mark.parametrize("fence", ["```", "~~~", "````python"])
def test_code_is_text(fence: str) -> None:
    code = "{{ x }}\nsame two words\nsame two words\nlabel:\n"
    close = fence.replace("python", "")
    assert left_out(f"Kodas.\n{fence}\n{code}{close}\nPabaiga.") == []
    assert left_out(f"Kodas.\n{fence}\n{code}{close}\n{{{{ x }}}}\n") == [("template", "{{ x }}")]


def test_a_fence_closes_only_with_its_own_kind() -> None:
    assert left_out("```\n~~~\n{{ x }}\n```\nPabaiga.") == []
    assert left_out("```code``` in one line\n{{ x }}\nPabaiga.") == [("template", "{{ x }}")]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_offsets_are_exact_with_any_line_end(end: str) -> None:
    text = end.join(["Pirmas.", "\t{{ x }} ", "", "Anonim", "Antras."])
    assert left_out(text) == [("template", "{{ x }}"), ("template", "Anonim")]
    assert [line.text for line in iter_lines(text)] == ["Pirmas.", "{{ x }}", "", "Anonim", "Antras."]


@given(TEXT)
def test_lines_and_spans_fit_any_text(text: str) -> None:
    lines = list(iter_lines(text))
    assert all(text[line.start : line.end] == line.text == line.text.strip() for line in lines)
    assert "".join("".join(line.text for line in lines).split()) == "".join(text.split())
    spans = find_left_out(text)
    assert all(span.start < span.end <= len(text) for span in spans)
    assert all(a.end <= b.start for a, b in itertools.pairwise(spans))


def test_the_model_reads_composed_text_without_marks_of_direction() -> None:
    assert for_model("e\u0301 \u202bab\u202c\u2066x\u2069\u061c") == "é abx"
    assert for_model("ko\u00adope\u00adracija") == "kooperacija"
    assert for_model("می\u200cخواهم") == "می\u200cخواهم"  # this joiner is spelling
    assert for_model("a\ud800b\udfff") == "a\ufffdb\ufffd"
    assert for_model("e\u00ad\u0301") == "é"  # what a mark kept apart


@given(TEXT | st.text(st.characters(categories=["Cs", "Mn", "Lo", "Cf"])))
def test_what_a_model_reads_is_settled(text: str) -> None:
    read = for_model(text)
    assert for_model(read) == read == unicodedata.normalize("NFC", read)
    assert read.encode().decode() == read
