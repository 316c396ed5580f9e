"""README.md and docs/ say what is there, all of it, and nothing else: commands, options, names, links, examples."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import tomllib
from collections import Counter
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import NamedTuple

import click
import pytest

import index
import search
from index import BuildSettings
from scripts.readme_tables import filled
from scripts.rebuild_index import main as rebuild_index
from scripts.rebuild_index import read_plan
from search.cli import main
from tests.builds import ROOT

PAGES = {
    path.relative_to(ROOT).as_posix(): path for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
}
PUBLIC = {"index": index, "search": search}


class Block(NamedTuple):
    """A fenced block: its page, the number of its first line, its language, what stands in it."""

    page: str
    line: int
    kind: str
    text: str

    @property
    def where(self) -> str:
        return f"{self.page}:{self.line}"


def split(page: str) -> tuple[str, list[Block]]:
    """Return a page's text without its fenced blocks, lines kept, and these blocks."""
    prose, blocks = [], []
    inside: list[str] | None = None
    kind, began = "", 0
    for number, line in enumerate(PAGES[page].read_text("utf-8").splitlines(), 1):
        if line.startswith("```"):
            if inside is None:
                inside, kind, began = [], line[3:].strip(), number + 1
            else:
                blocks.append(Block(page, began, kind, "\n".join(inside)))
                inside = None
            prose.append("")
        elif inside is None:
            prose.append(line)
        else:
            inside.append(line)
            prose.append("")
    assert inside is None, f"{page}: a block that begins at line {began} does not end"
    return "\n".join(prose), blocks


PROSE = {page: split(page)[0] for page in PAGES}
BLOCKS = [block for page in PAGES for block in split(page)[1]]
SPANS = [(page, span) for page, text in PROSE.items() for span in re.findall(r"(?<!`)`([^`]+)`(?!`)", text)]
CODE = "\n".join([*(span for _, span in SPANS), *(block.text for block in BLOCKS)])


def blocks(kind: str) -> list[Block]:
    found = [block for block in BLOCKS if block.kind == kind]
    assert found, f"no block of {kind} is left in README.md and docs/"
    return found


def commands(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Yield a command and all below it, with what one types to call it."""
    yield path, command
    if isinstance(command, click.Group):
        for name, below in sorted(command.commands.items()):
            if not below.hidden:
                yield from commands(below, f"{path} {name}")


COMMANDS = dict(commands(main, "tongues"))


def names_of(option: click.Option) -> list[str]:
    return [name for name in (*option.opts, *option.secondary_opts) if name.startswith("--")] or list(option.opts)


def is_told(name: str) -> bool:
    return re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", CODE) is not None


@pytest.mark.parametrize("path", [*COMMANDS, "python scripts/rebuild_index.py"])
def test_every_option_is_told(path: str) -> None:
    command = COMMANDS.get(path, rebuild_index)
    told = {p.opts[0]: any(map(is_told, names_of(p))) for p in command.params if isinstance(p, click.Option)}
    missing = [f"{path} {name}" for name, is_there in told.items() if not is_there]
    assert not missing, f"neither README.md nor docs/ tell, as `code`: {', '.join(missing)}"


def test_no_option_is_told_that_is_not_there() -> None:
    known = {
        name for c in [*COMMANDS.values(), rebuild_index] for p in c.params for name in (*p.opts, *p.secondary_opts)
    }
    scripts = "\n".join(path.read_text("utf-8") for path in (ROOT / "scripts").glob("*.py"))
    of_others = {"--help", *re.findall(r'"(--[a-z][a-z-]*)"', scripts)}
    told = [(page, name) for page, span in SPANS for name in re.findall(r"(?<![\w-])--[a-z][a-z-]*", span)]
    wrong = [f"{page}: {name}" for page, name in told if name not in known | of_others]
    assert not wrong, f"no command has these options: {', '.join(wrong)}"
    assert len(told) > 60


def check_call(words: list[str], where: str) -> None:
    """Check that words typed after ``tongues`` parse; nothing runs."""
    command: click.Command = main
    # With its settings: a command keeps the names of its help option from the first context it meets.
    context = click.Context(main, info_name="tongues", **main.context_settings)
    while isinstance(command, click.Group):
        _, rest, _ = command.make_parser(context).parse_args(list(words))
        name, found, words = command.resolve_command(context, rest)
        assert name, where
        assert found, where
        command, context = found, click.Context(found, context, name, **found.context_settings)
    command.parse_args(context, list(words))


def calls(line: str) -> Iterator[list[str]]:
    """Yield the programs that a line of shell calls, each with its arguments, without redirections and comments."""
    call: list[str] = []
    lexer = shlex.shlex(line, posix=True, punctuation_chars="|&;<>")
    lexer.whitespace_split = True
    words = iter(lexer)
    for word in words:
        if set(word) <= set("<>"):
            next(words)
        elif set(word) <= set("|&;"):
            yield call
            call = []
        elif call or not re.fullmatch(r"\w+=.*", word):
            call.append(word)
    yield call


OTHER_PROGRAMS = {"curl", "docker", "eval", "export", "make", "pip", "source"}
SHELL = [(block.where, line) for block in blocks("sh") for line in block.text.splitlines() if line.strip()]


@pytest.mark.parametrize(("where", "line"), SHELL)
def test_shell_lines_call_what_is_there(where: str, line: str) -> None:
    for call in filter(None, calls(line)):
        if call[0] == "tongues":
            try:
                check_call(call[1:], where)
            except click.ClickException as error:
                pytest.fail(f"{where}: {line}: {error.format_message()}")
        elif call[0] == "python":
            assert (ROOT / call[1]).is_file(), f"{where}: {call[1]} is not there"
        else:
            assert call[0] in OTHER_PROGRAMS, f"{where}: what is {call[0]}?"


def test_a_line_that_is_wrong_is_noticed() -> None:
    for wrong in ("search --no-such-thing x", "serach x", "build --kind flot x --out y"):
        with pytest.raises(click.ClickException):
            check_call(wrong.split(), "here")
    assert list(calls('A=1 tongues search --json - < q.txt | jq . # "all')) == [
        ["tongues", "search", "--json", "-"],
        ["jq", "."],
    ]


def test_commands_named_in_passing_are_there() -> None:
    named = [(page, span) for page, span in SPANS if span.startswith("tongues ")]
    known = {path.split()[1] for path in COMMANDS if path != "tongues"} | {"COMMAND"}
    for page, span in named:
        words = [word for word in span.split()[1:] if not word.startswith("-")]
        assert not words or words[0] in known, f"{page}: `{span}`: there is no such command"
        command = COMMANDS.get(f"tongues {words[0]}") if words else main
        if command:
            has = {name for p in [*command.params, *main.params] for name in (*p.opts, *p.secondary_opts)}
            wrong = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", span)) - has - {"--help"}
            assert not wrong, f"{page}: `{span}`: no option {', '.join(wrong)}"
    assert len(named) > 20


def test_make_targets_are_told_and_there() -> None:
    targets = set(re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)[0].split())
    told = set(re.findall(r"\bmake ([a-z][\w-]*)", CODE))
    assert told == targets, f"not told: {targets - told}; not in the Makefile: {told - targets}"


def test_files_and_extras_named_are_there() -> None:
    for name in set(re.findall(r"(?<![\w./-])(?:scripts|index|search|tests|notebooks)/[\w./-]*\w", CODE)):
        assert (ROOT / name).exists(), f"{name} is named, and not there"
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"]
    named = {extra for group in re.findall(r"(?:manytongues|\.)\[([\w,]+)\]", CODE) for extra in group.split(",")}
    assert named <= extras.keys()
    assert "milvus" in named


def anchors(page: str) -> set[str]:
    """Return the anchors that a page's headings get where it is shown."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *$", PROSE[page], re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        slug = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


LINKS = [(page, target) for page in PAGES for target in re.findall(r"\]\(([^)\s]+)\)", PROSE[page])]


def test_links_and_anchors_lead_somewhere() -> None:
    wrong = []
    for page, target in LINKS:
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = (PAGES[page].parent / name).resolve() if name else PAGES[page]
        inside = path.is_relative_to(ROOT) and path.relative_to(ROOT).as_posix()
        if not inside or not path.exists() or (anchor and anchor not in anchors(inside)):
            wrong.append(f"{page}: {target}")
    assert not wrong, f"lead nowhere: {', '.join(wrong)}"
    assert len(LINKS) > 40


def test_every_page_can_be_reached_from_the_readme() -> None:
    linked = {target.partition("#")[0] for page, target in LINKS if page == "README.md"}
    assert set(PAGES) - linked == {"README.md"}


@pytest.mark.parametrize("package", PUBLIC)
def test_every_public_name_is_described(package: str) -> None:
    section = PROSE["docs/python.md"]
    described = set(re.findall(r"^\| `(\w+)", section, re.MULTILINE))
    missing = sorted(set(PUBLIC[package].__all__) - described)
    assert not missing, f"docs/python.md has no row for these names of {package}: {', '.join(missing)}"


def test_no_other_name_is_described() -> None:
    tables = PROSE["docs/python.md"].partition("## Names of `index`")[2]
    described = set(re.findall(r"^\| `(\w+)", tables, re.MULTILINE))
    assert described == {*index.__all__, *search.__all__}


ROWS = {
    name: row for name, row in re.findall(r"^\| `(\w+)(.*)$", PROSE["docs/python.md"], re.MULTILINE) if name[0] != "_"
}


@pytest.mark.parametrize("name", ROWS)
def test_rows_of_public_names_have_their_arguments_and_fields(name: str) -> None:
    thing = getattr(index, name, None) or getattr(search, name)
    row = ROWS[name]
    if row.startswith("("):
        told = re.findall(r"(\w+)(?:=\(\))?[,)]", row.partition("`")[0])
        assert told == list(inspect.signature(thing).parameters), f"docs/python.md: arguments of {name}"
    elif is_dataclass(thing) and "](" not in row:  # one with a link is told there
        missing = [field.name for field in fields(thing) if f"`{field.name}`" not in row]
        assert not missing, f"docs/python.md: the row of {name} lacks {', '.join(missing)}"


EXAMPLES = [pytest.param(block, id=block.where) for block in blocks("python")]


@pytest.mark.parametrize("block", EXAMPLES)
def test_examples_in_python_compile_and_call_what_is_public(block: Block) -> None:
    tree = ast.parse(block.text, block.where)
    compile(tree, block.where, "exec")
    known: dict[str, object] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module in PUBLIC:
            for alias in node.names:
                assert alias.name in PUBLIC[node.module].__all__, f"{block.where}: {alias.name} is not public"
                known[alias.asname or alias.name] = getattr(PUBLIC[node.module], alias.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names]
            assert not {name.split(".")[0] for name in names} & set(PUBLIC), (
                f"{block.where}: imports what is not public"
            )
    known["searcher"] = search.Searcher
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            check_arguments(node, known, block)


def check_arguments(call: ast.Call, known: dict[str, object], block: Block) -> None:
    """Check the arguments of a call of a public name, or of a method of one."""
    function, given_self = call.func, 0
    if isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id in known:
        owner = known[function.value.id]
        assert hasattr(owner, function.attr), f"{block.where}: {function.value.id} has no {function.attr}"
        called = getattr(owner, function.attr)
        given_self = int(inspect.isfunction(called))
    elif isinstance(function, ast.Name) and function.id in known:
        called = known[function.id]
    else:
        return
    named = {keyword.arg: None for keyword in call.keywords if keyword.arg}
    try:
        inspect.signature(called).bind(*[None] * (given_self + len(call.args)), **named)
    except TypeError as error:
        pytest.fail(f"{block.where}:{call.lineno}: {ast.unparse(call)}: {error}")


def test_the_configuration_loads_and_names_every_setting(tmp_path: Path) -> None:
    (block,) = blocks("toml")
    (tmp_path / "nightly.toml").write_text(block.text, "utf-8")
    assert read_plan(tmp_path / "nightly.toml").settings != BuildSettings()  # a field of another name, at least
    words = set(re.findall(r"\w+", block.text))
    for record in (BuildSettings(), *(getattr(BuildSettings(), name) for name in ("model", "chunking", "fields"))):
        assert is_dataclass(record)
        missing = [field.name for field in fields(record) if field.name not in words]
        assert not missing, f"{block.where}: does not name {', '.join(missing)}"


def test_a_table_is_filled_between_its_marks_in_any_page() -> None:
    mark = "<!-- table precision -->"
    text, names = filled(f"above\n{mark}\nold\n{mark}\nbelow\n")
    assert names == ["precision"]
    assert text.startswith(f"above\n{mark}\n| computed by |")
    assert text.endswith(f"|\n{mark}\nbelow\n")
    assert filled(text) == (text, names)
    for wrong in (f"{mark}\nno second one\n", "<!-- table nothing -->\n<!-- table nothing -->"):
        with pytest.raises(click.ClickException):
            filled(wrong)


DOCUMENTED = [
    pytest.param(getattr(package, name), id=f"{package.__name__}.{name}")
    for package in PUBLIC.values()
    for name in package.__all__
    if name != "__version__"
]


@pytest.mark.parametrize("thing", DOCUMENTED)
def test_what_is_public_has_a_docstring_with_its_arguments(thing: type | object) -> None:
    if not inspect.isclass(thing):
        check_docstring(thing, str(thing))
        return
    assert (thing.__doc__ or "").strip(), f"{thing.__name__} has no docstring"
    if is_dataclass(thing):
        told = inspect.getsource(thing)
        missing = [
            field.name for field in fields(thing) if not re.search(rf"\b{field.name}\b", told.partition('"""')[2])
        ]
        assert not missing, f"{thing.__name__}: its docstring says nothing of {', '.join(missing)}"
    for name, member in vars(thing).items():
        function = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if not name.startswith("_") and inspect.isfunction(function):
            check_docstring(function, f"{thing.__name__}.{name}")


def check_docstring(function: object, name: str) -> None:
    """Check that a docstring has a line for each argument, or says as what else they are, or names them."""
    assert callable(function)
    told = inspect.getdoc(function) or ""
    assert told, f"{name} has no docstring"
    arguments = [one for one in inspect.signature(function).parameters if one not in ("self", "cls")]
    listed = [one for one in arguments if re.search(rf"^    {one}: \S", told, re.MULTILINE)]
    refers = re.search(r"\bas ``[\w.]+``", told, re.IGNORECASE)
    assert len(arguments) < 2 or listed == arguments or refers, f"{name}: Args lacks {set(arguments) - set(listed)}"
