"""Sources opened at the passage: real files, real programs that write down what they were called with."""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import replace
from pathlib import Path
from urllib.parse import unquote

import pytest

from index.builder import build, build_documents
from index.config import BuildSettings, FieldNames, ModelSettings
from index.errors import InputError, QueryError
from index.manifest import Manifest
from index.records import Document
from search.cli_ask import with_number
from search.hits import Hit
from search.opener import chosen_hit, editor_command, open_hit, plan
from search.searcher import Searcher
from search.source_place import SourcePlace, find_place, line_at
from tests.builds import ROOT, command, environment
from tests.programs import Programs
from tests.toys import ToyEncoder

TEXT = "The first line.\n\nBread is baked here. Water is cold.\n\nSheep graze on hills.\n"
CSV = 'id,text\n1,"Fresh bread\nover two lines"\n2,Cold water\n3,"Sheep said ""baa"" loudly"\n'
JSONL = '{"id": "a", "text": "Fresh milk"}\n\nnot json\n{"text": "Sour cream"}\n{"id": "c", "text": "Old cheese"}\n'

windows = pytest.mark.skipif(os.name == "nt", reason="the programs here are scripts with a line that names Python")


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    made = Programs(tmp_path / "bin")
    for name in ("VISUAL", "EDITOR", "BROWSER", "DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(made.folder))
    return made


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "sources"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def built(folder: Path, *names: str, settings: BuildSettings | None = None) -> Path:
    out = folder.with_name("index")
    build(list(names), out, settings=settings or BuildSettings(), encoder=ToyEncoder())
    return out


def found(out: Path, query: str) -> tuple[Hit, Manifest]:
    with Searcher.open(out, encoder=ToyEncoder()) as searcher:
        return searcher.search(query, 1)[0], searcher.manifest


@pytest.mark.parametrize(
    ("name", "ends", "query", "line"),
    [
        ("a.txt", "\n", "bread baked", 3),
        ("a.md", "\n", "sheep graze hills", 5),
        ("crlf.txt", "\r\n", "sheep graze hills", 5),
        ("cr.txt", "\r", "sheep graze hills", 5),
        ("-rf.txt", "\n", "sheep graze hills", 5),
        ("with space; $(touch x) 'q'.txt", "\n", "sheep graze hills", 5),
        ("žąsis తెలుగు.txt", "\n", "sheep graze hills", 5),
    ],
)
@windows
def test_text_opens_at_the_line(
    name: str, ends: str, query: str, line: int, sources: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sources / name).write_bytes(TEXT.replace("\n", ends).encode())
    out = built(sources, "./" + name)
    hit, manifest = found(out, query)
    programs.add("vim")
    monkeypatch.setenv("EDITOR", "vim -n")
    monkeypatch.chdir("/")  # sources are relative to the folder that the index was built from
    assert open_hit(hit, manifest) == f"{sources / name}, line {line}"
    assert programs.calls() == [("vim", ["-n", f"+{line}", str(sources / name)])]
    assert sorted(path.name for path in sources.iterdir()) == [name]  # nothing was run by a shell


@windows
def test_the_line_is_that_of_the_closest_sentence(sources: Path) -> None:
    lines = [f"Sentence number {i} is of {word}." for i, word in enumerate(["bread", "milk", "water", "sheep"])]
    (sources / "a.txt").write_text("\n".join(lines), "utf-8")
    hit, manifest = found(built(sources, "a.txt"), "water")
    assert hit.start == 0
    assert find_place(hit, manifest).line == 3


@pytest.mark.parametrize(
    ("name", "content", "query", "line"),
    [
        ("t.csv", CSV, "fresh bread", 2),
        ("t.csv", CSV, "cold water", 4),
        ("t.csv", CSV, "sheep", 5),
        ("t.tsv", CSV.replace(",", "\t"), "cold water", 4),
        ("r.jsonl", JSONL, "fresh milk", 1),
        ("r.jsonl", JSONL, "sour cream", 4),
        ("r.jsonl", JSONL, "old cheese", 5),
    ],
)
def test_records_open_at_their_line(name: str, content: str, query: str, line: int, sources: Path) -> None:
    (sources / name).write_text(content, "utf-8")
    place = find_place(*found(built(sources, name), query))
    assert (place.path, place.line, place.is_text, place.notice) == (sources / name, line, True, "")


def test_fields_and_encodings_are_those_of_the_build(sources: Path) -> None:
    settings = BuildSettings(fields=FieldNames(text="body", id="number"), encoding="windows-1257")
    (sources / "t.csv").write_bytes("number,body\n7,Žąsis plaukia\n8,Šaltas vanduo\n".encode("windows-1257"))
    (sources / "a.txt").write_bytes(
        "Pirma eilutė yra gana ilga ir stovi viena.\n\n\nŽalias miškas ošia visą naktį.\n".encode("windows-1257")
    )
    out = built(sources, "t.csv", "a.txt", settings=settings)
    assert find_place(*found(out, "šaltas vanduo")).line == 3
    hit, manifest = found(out, "žalias miškas")
    assert (find_place(hit, manifest).line, find_place(hit, manifest).notice) == (4, "")


SRT = (
    "1\n00:00:01,000 --> 00:00:03,000\nFresh bread is baked.\n\n"
    "2\n00:01:05,500 --> 00:01:08,000\nSheep graze on hills.\n"
)
EML = (
    "From: a@b.lt\nTo: c@d.lt\nSubject: Milk\nContent-Type: text/plain; charset=utf-8\n\n"
    "Good day to all of you.\n\nThe dairy\nsells sour cream today.\n"
)


@pytest.mark.parametrize(
    ("name", "content", "query", "line"),
    [
        ("film.srt", SRT, "sheep graze hills", 6),
        ("film.vtt", "WEBVTT\n\n" + SRT.replace(",", "."), "sheep graze hills", 8),
        ("letter.eml", EML, "dairy sour cream", 8),
    ],
)
def test_what_is_written_otherwise_opens_near_the_passage(
    name: str, content: str, query: str, line: int, sources: Path
) -> None:
    (sources / name).write_text(content, "utf-8")
    place = find_place(*found(built(sources, name), query))
    assert (place.path, place.line, place.is_text, place.notice) == (sources / name, line, True, "")


def test_a_source_that_has_changed(sources: Path) -> None:
    path = sources / "a.txt"
    path.write_text(TEXT, "utf-8")
    hit, manifest = found(built(sources, "a.txt"), "sheep graze hills")
    path.write_text("New.\nLines.\n" + TEXT, "utf-8")
    moved = find_place(hit, manifest)
    assert (moved.line, moved.notice) == (7, "it has changed since it was indexed; the passage has moved")
    path.write_text("Something else altogether.\n" * 9, "utf-8")
    other = find_place(hit, manifest)
    assert (other.line, other.notice) == (1, "it has changed since it was indexed, and the passage is not where it was")
    path.unlink()
    with pytest.raises(InputError, match=r"a\.txt: is not there any more \(looked for in .*sources\)"):
        find_place(hit, manifest)


def test_a_record_that_has_changed_or_is_gone(sources: Path) -> None:
    path = sources / "r.jsonl"
    path.write_text(JSONL, "utf-8")
    hit, manifest = found(built(sources, "r.jsonl"), "old cheese")
    path.write_text('{"id": "c", "text": "New wine"}\n', "utf-8")
    assert (find_place(hit, manifest).line, "has changed" in find_place(hit, manifest).notice) == (1, True)
    path.write_text('\n{"id": "z", "text": "Old cheese"}\n', "utf-8")
    assert find_place(hit, manifest).line in (1, 2)
    assert "has changed" in find_place(hit, manifest).notice


def test_documents_that_are_no_files(tmp_path: Path) -> None:
    out = tmp_path / "index"
    build_documents([Document("7", "intranet", "fresh bread")], out, encoder=ToyEncoder())
    with pytest.raises(InputError, match="intranet: is no file; a program put this document into the index"):
        find_place(*found(out, "bread"))


def as_if(hit: Hit, **changes: object) -> Hit:
    return replace(hit, **changes)  # type: ignore[arg-type]


@windows
def test_what_is_no_text_opens_in_a_browser_or_by_the_system(
    sources: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sources / "a.txt").write_text(TEXT, "utf-8")
    hit, manifest = found(built(sources, "a.txt"), "sheep graze hills")
    for name in ("a b#1.pdf", "page.html", "deck.pptx", "files.zip"):
        (sources / name).write_bytes(b"%")
    pdf = as_if(hit, source="a b#1.pdf", locator="page=3")
    monkeypatch.setenv("DISPLAY", ":9")
    programs.add("xdg-open")
    told = open_hit(pdf, manifest)
    assert told == f"{sources}/a b#1.pdf, page 3"
    assert programs.calls() == [("xdg-open", [f"file://{sources}/a%20b%231.pdf#page=3"])]
    programs.add("firefox")
    open_hit(pdf, manifest)
    assert programs.calls() == [("firefox", [f"file://{sources}/a%20b%231.pdf#page=3"])]
    page = as_if(hit, source="page.html", text="- Sheep, graze & hills.", start=0, end=23, highlight=(0, 23))
    programs.add("my-browser")
    monkeypatch.setenv("BROWSER", "nowhere:my-browser --new %s:firefox")
    open_hit(page, manifest)
    ((name, (option, url)),) = programs.calls()
    assert (name, option) == ("my-browser", "--new")
    assert url == f"file://{sources}/page.html#:~:text=%2D%20Sheep%2C%20graze%20%26%20hills."
    assert unquote(url).endswith(":~:text=- Sheep, graze & hills.")
    open_hit(as_if(hit, source="deck.pptx", locator="slide=2"), manifest)
    assert programs.calls() == [("xdg-open", [str(sources / "deck.pptx")])]
    assert open_hit(as_if(hit, source="files.zip", doc_id="in/side.txt"), manifest).endswith(
        "files.zip: it is an archive; look for in/side.txt in it."
    )
    assert open_hit(as_if(hit, source="files.zip/in/side.txt"), manifest).endswith("look for in/side.txt in it.")
    assert programs.calls() == [("xdg-open", [str(sources / "files.zip")])] * 2
    open_hit(as_if(hit, source="https://example.org/a?b=1", text="Two words", highlight=(0, 0)), manifest)
    assert programs.calls() == [("my-browser", ["--new", "https://example.org/a?b=1#:~:text=Two%20words"])]


@pytest.mark.parametrize(
    ("source", "file"),
    [
        *((name, name) for name in ("tool.desktop", "a.doc", "a.XLS", "picture.svg", "a.7z", "a.tgz", "none", ".pdf")),
        *((name, name) for name in ("tool.desktop.gz", "bare.gz")),
        ("tool.desktop/in/side.txt", "tool.desktop"),
        ("{folder}/a.doc", "a.doc"),
    ],
)
@windows
def test_what_is_not_indexed_is_not_opened(
    source: str, file: str, sources: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index may be anybody's, and name any file."""
    (sources / "a.txt").write_text(TEXT, "utf-8")
    hit, manifest = found(built(sources, "a.txt"), "sheep graze hills")
    (sources / file).write_bytes(b"%")
    monkeypatch.setenv("DISPLAY", ":9")
    monkeypatch.setenv("EDITOR", "nano")
    for name in ("xdg-open", "nano", "firefox"):
        programs.add(name)
    with pytest.raises(InputError, match=rf"/{re.escape(file)}: is not of a format that is indexed"):
        open_hit(as_if(hit, source=source.format(folder=sources)), manifest)
    assert programs.calls() == []


@windows
def test_programs_that_are_not_there_or_fail(
    sources: Path, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sources / "a.txt").write_text(TEXT, "utf-8")
    hit, manifest = found(built(sources, "a.txt"), "sheep graze hills")
    with pytest.raises(InputError, match=r"no program here to open it with\. Name a program for it in EDITOR"):
        open_hit(hit, manifest)
    monkeypatch.setenv("EDITOR", "nowhere")
    with pytest.raises(InputError, match="nowhere: cannot be run"):
        open_hit(hit, manifest)
    monkeypatch.setenv("VISUAL", "unclosed 'quote")
    with pytest.raises(InputError, match=r"cannot be parsed .* Mend VISUAL or EDITOR"):
        open_hit(hit, manifest)
    page = sources / "page.html"
    page.write_text("<p>Sheep graze on hills.")
    monkeypatch.setenv("BROWSER", f"nowhere{os.pathsep}unclosed 'quote")
    with pytest.raises(InputError, match=r"the browser \"unclosed 'quote\" cannot be parsed .* Mend BROWSER"):
        open_hit(as_if(hit, source="page.html"), manifest)
    programs.add("nano", status=3)
    monkeypatch.setenv("VISUAL", "nano")
    with pytest.raises(InputError, match="nano: ended with status 3"):
        open_hit(hit, manifest)
    assert programs.calls() == [("nano", ["+5", str(sources / "a.txt")])]


@pytest.mark.parametrize(
    ("editor", "arguments"),
    [
        ("vi", ["+12", "/d/-a b.txt"]),
        ("/usr/bin/nvim -R", ["-R", "+12", "/d/-a b.txt"]),
        ("vim.tiny", ["+12", "/d/-a b.txt"]),
        ("emacsclient -nw", ["-nw", "+12", "/d/-a b.txt"]),
        ("less", ["+12", "/d/-a b.txt"]),
        ("code --wait", ["--wait", "--goto", "/d/-a b.txt:12"]),
        ("codium", ["--goto", "/d/-a b.txt:12"]),
        ("subl -w", ["-w", "/d/-a b.txt:12"]),
        ("hx", ["/d/-a b.txt:12"]),
        ("kate", ["--line", "12", "/d/-a b.txt"]),
        ("'/opt/my editor/ed'", ["/d/-a b.txt"]),
    ],
)
@windows
def test_editors_are_told_the_line_in_their_own_way(editor: str, arguments: list[str]) -> None:
    place = SourcePlace(Path("/d/-a b.txt"), line=12, is_text=True)
    assert list(editor_command(editor, place.path, 12))[1:] == arguments
    assert list(plan(place, {"EDITOR": "nano", "VISUAL": editor}).command[1:]) == arguments
    assert plan(place, {"EDITOR": editor}).waits


def test_lines() -> None:
    assert [line_at("a\nb\r\nc", offset) for offset in (0, 2, 5)] == [1, 2, 3]
    assert [line_at("a\rb\rc", offset) for offset in (0, 2, 4)] == [1, 2, 3]


def test_which_hit_is_meant(sources: Path) -> None:
    (sources / "a.txt").write_text(TEXT, "utf-8")
    hit, _ = found(built(sources, "a.txt"), "bread")
    hits = [as_if(hit, rank=1, lang="lt"), as_if(hit, rank=2, lang="lt"), as_if(hit, rank=1, lang="te-IN")]
    assert chosen_hit(hits, " 2 ") is hits[1]
    assert chosen_hit(hits, "te-IN:1") is hits[2]
    for which, problem in (
        ("1", "several hits have the rank 1; say which of lt:1, te-IN:1"),
        ("3", "there is no hit 3; there are 3"),
        ("te-IN:2", "there is no hit te-IN:2"),
        ("two", "'two' names no hit; give its rank"),
        ("-1", "names no hit"),
        ("", "names no hit"),
    ):
        with pytest.raises(QueryError, match=problem):
            chosen_hit(hits, which)
    with pytest.raises(QueryError, match="there is no hit 1 to open"):
        chosen_hit([], "1")


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        (["bread", "--open"], ["bread", "--open=1"]),
        (["--open", "bread", "2"], ["--open=1", "bread", "2"]),
        (["--open", "2", "bread"], ["--open=2", "bread"]),
        (["--open", "te-IN:12", "bread"], ["--open=te-IN:12", "bread"]),
        (["--open=3", "2"], ["--open=3", "2"]),
        (["--", "--open", "2"], ["--", "--open", "2"]),
        (["--open", "--json"], ["--open=1", "--json"]),
        (["--open", "2nd"], ["--open=1", "2nd"]),
    ],
)
def test_a_question_is_not_taken_for_a_number(arguments: list[str], parsed: list[str]) -> None:
    assert with_number(arguments) == parsed


# The command itself, in a process of its own, with a tiny real model.


@pytest.fixture(scope="module")
def indexed(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("open")
    (folder / "a.txt").write_text(TEXT, "utf-8")
    (folder / "b.txt").write_text("Another text of bread.\n", "utf-8")
    settings = BuildSettings(model=ModelSettings(str(tiny_model)))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        build(["a.txt", "b.txt"], folder / "index", settings=settings)
    return folder


@pytest.mark.parametrize(
    ("arguments", "status", "file", "told"),
    [
        (["Another text of bread.", "--open"], 0, "b.txt", "b.txt, line 1\n"),
        (["--open", "en:1", "--per-language", "2", "Another text of bread."], 0, "b.txt", "b.txt, line 1\n"),
        (["-q", "--json", "--open", "1", "Another text of bread."], 0, "b.txt", ""),
        (["--open", "9", "bread"], 1, "", "Error: there is no hit 9"),
        (["--open", "--", "-"], 2, "", "--open opens a hit of one query"),
    ],
)
@windows
def test_search_opens_a_hit(
    arguments: list[str], status: int, file: str, told: str, indexed: Path, tmp_path: Path
) -> None:
    programs = Programs(tmp_path / "bin")
    programs.add("nano")
    path = f"{programs.folder}{os.pathsep}{os.environ['PATH']}"
    result = subprocess.run(
        command("search", "--index", str(indexed / "index"), *arguments),
        capture_output=True,
        env=environment(VISUAL="nano", PATH=path),
        cwd=ROOT,
        timeout=120,
        check=False,
    )
    assert result.returncode == status, result.stderr
    assert told in result.stderr.decode()
    calls = programs.calls()
    assert [(name, one[1]) for name, one in calls] == ([("nano", str(indexed / file))] if file else [])
    assert all(one[0].startswith("+") for _, one in calls)
    if "-q" in arguments:
        assert result.stderr == b""
