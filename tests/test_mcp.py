"""An index is served to language models by the Model Context Protocol; the SDK's own client asks a real process."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from mcp import Client, StdioServerParameters
from mcp.types import CallToolResult, TextContent

from index.builder import build_documents
from index.config import BuildSettings, ModelSettings
from index.errors import QueryError
from index.records import Document, Mark
from index.updater import update_documents
from search.cli import main
from search.mcp_server import LONGEST_QUERY, LONGEST_TEXT, MOST_HITS, Tools
from search.searcher import Searcher
from tests.builds import ROOT, command, environment, run
from tests.toys import ToyEncoder

MADE = [
    Document("1", "a/letters.pdf", "The money comes back within seven days. Ask the shop first. " * 8, lang="en"),
    Document("2", "b.txt", "Pinigai grąžinami per keturiolika dienų. Kreipkitės į pardavėją.", lang="lt"),
    Document("3", "c.txt", "Kur yra geležinkelio stotis?", lang="lt", metadata={"year": 2024}),
]
MARKED = Document(
    "4",
    "talk.srt",
    "A refund is paid at once. The rest of the talk is about trains.",
    lang="en",
    marks=(Mark(0, "t=61.5"), Mark(26, "t=70")),
)


@pytest.fixture(scope="module")
def index(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("mcp") / "index"
    build_documents([*MADE, MARKED], out, settings=BuildSettings(model=ModelSettings(str(tiny_model))))
    return out


def server(index: Path, *more: str) -> StdioServerParameters:
    program, *args = command("mcp", "--index", str(index), *more)
    return StdioServerParameters(command=program, args=args, env=environment(), cwd=ROOT)


def ask(index: Path, talk: Callable[[Client], Awaitable[Any]]) -> Any:
    async def talking() -> Any:
        async with Client(server(index)) as client:
            return await talk(client)

    return asyncio.run(talking())


def text_of(result: CallToolResult) -> str:
    (content,) = result.content
    assert isinstance(content, TextContent)
    return content.text


def test_a_host_asks_it(index: Path) -> None:
    async def talk(client: Client) -> None:
        tools = {tool.name: tool for tool in (await client.list_tools()).tools}
        assert set(tools) == {"search", "get_context"}
        schema = tools["search"].input_schema["properties"]
        assert (schema["k"]["minimum"], schema["k"]["maximum"], schema["k"]["default"]) == (1, MOST_HITS, 5)
        assert "en, lt" in schema["languages"]["description"]
        assert "in any language" in (tools["search"].description or "")
        assert all(tool.annotations and tool.annotations.read_only_hint for tool in tools.values())
        assert "en, lt" in (client.instructions or "")

        found = (await client.call_tool("search", {"query": "When is a refund paid?", "k": 3})).structured_content
        assert found is not None
        assert [one["rank"] for one in found["passages"]] == [1, 2, 3]
        assert (
            json.loads(text_of(await client.call_tool("search", {"query": "When is a refund paid?", "k": 3}))) == found
        )
        with Searcher.open(index) as searcher:
            hits = searcher.search("When is a refund paid?", 3)
        assert [one["passage_id"] for one in found["passages"]] == [hit.passage_id for hit in hits]

        grouped = await client.call_tool("search", {"query": "dienų", "per_language": 1, "languages": ["lt"]})
        assert grouped.structured_content is not None
        assert [one["lang"] for one in grouped.structured_content["passages"]] == ["lt"]

        around = await client.call_tool("get_context", {"passage_id": hits[0].passage_id})
        assert around.structured_content is not None
        assert around.structured_content["passage"]["text"] == hits[0].text

        (resource,) = (await client.list_resources()).resources
        (content,) = (await client.read_resource(resource.uri)).contents
        counts = json.loads(getattr(content, "text", ""))
        assert {one["lang"] for one in counts["languages"]} == {"en", "lt"}
        assert counts["documents"] == 4

    ask(index, talk)


@pytest.mark.parametrize(
    ("tool", "arguments", "told"),
    [
        ("search", {"query": "  "}, "the query is empty"),
        ("search", {"query": "x" * (LONGEST_QUERY + 1)}, "ask in 4,000 at most"),
        ("search", {"query": "x", "k": 0}, "k is 0; give a number from 1 to 50"),
        ("search", {"query": "x", "k": 51}, "k is 51; give a number from 1 to 50"),
        ("search", {"query": "x", "per_language": 21}, "per_language is 21"),
        ("search", {"query": "x", "languages": ["fi"]}, "the index holds no passage in 'fi'; it holds en, lt"),
        ("search", {}, "query"),
        ("get_context", {"passage_id": "nothing"}, "the index holds no passage 'nothing'"),
        ("get_context", {"passage_id": "0" * 20, "context": 11}, "context is 11; give a number from 0 to 10"),
    ],
)
def test_what_cannot_be_answered_is_told_to_the_model(
    tool: str, arguments: dict[str, Any], told: str, index: Path, shared: Client, loop: asyncio.AbstractEventLoop
) -> None:
    result = loop.run_until_complete(shared.call_tool(tool, arguments))
    assert result.is_error
    assert told in text_of(result)
    assert "Traceback" not in text_of(result)


@pytest.fixture(scope="module")
def loop() -> Any:
    loop = asyncio.new_event_loop()
    yield loop
    loop.close()


@pytest.fixture(scope="module")
def shared(index: Path, loop: asyncio.AbstractEventLoop) -> Any:
    """A client of one process, for questions that change nothing."""
    ends, ready = asyncio.Event(), loop.create_future()

    async def hold() -> None:
        async with Client(server(index)) as client:
            ready.set_result(client)
            await ends.wait()

    holding = loop.create_task(hold())
    yield loop.run_until_complete(ready)
    ends.set()
    loop.run_until_complete(holding)


def test_many_questions_at_once(shared: Client, loop: asyncio.AbstractEventLoop) -> None:
    async def many() -> list[Any]:
        return await asyncio.gather(*(shared.call_tool("search", {"query": f"train {i}", "k": 2}) for i in range(20)))

    results = loop.run_until_complete(many())
    assert [one.structured_content["query"] for one in results] == [f"train {i}" for i in range(20)]
    assert not any(one.is_error for one in results)


def test_updates_are_followed(tiny_model: Path, tmp_path: Path) -> None:
    out = tmp_path / "index"
    build_documents(MADE[:1], out, settings=BuildSettings(model=ModelSettings(str(tiny_model))))

    async def talk(client: Client) -> None:
        before = await client.call_tool("search", {"query": "stotis"})
        await asyncio.to_thread(update_documents, out, [MADE[2]])
        after = await client.call_tool("search", {"query": "stotis"})
        found = [[one["source"] for one in (r.structured_content or {})["passages"]] for r in (before, after)]
        assert "c.txt" not in found[0]
        assert "c.txt" in found[1]

    ask(out, talk)


def test_nothing_but_the_protocol_is_on_standard_output(index: Path) -> None:
    hello = {
        "jsonrpc": "2.0",
        "id": 1,
        "method": "initialize",
        "params": {"protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}},
    }
    calls = [
        hello,
        {"jsonrpc": "2.0", "method": "notifications/initialized"},
        {"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": {"name": "search", "arguments": {"query": "x"}}},
    ]
    loud = (  # a library that prints, when it is loaded and when it works
        "import os, search.searcher as s; opened, ask = s.Searcher.open, s.Searcher.search\n"
        "def shout(f):\n"
        "    def g(*a, **k): print('from Python'); os.write(1, b'from C'); return f(*a, **k)\n"
        "    return g\n"
        "s.Searcher.open, s.Searcher.search = shout(opened), shout(ask)\n"
        f"import sys; sys.argv = ['tongues', 'mcp', '--index', {str(index)!r}]\n"
        "from search.cli import run; run()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", loud],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("".join(json.dumps(call) + "\n" for call in calls).encode())
    process.stdin.flush()
    answers = [json.loads(process.stdout.readline()) for _ in range(2)]
    rest, told = process.communicate(timeout=60)  # closes its input, which ends it
    assert [answer["id"] for answer in answers] == [1, 2]
    assert answers[1]["result"]["isError"] is False
    assert rest == b""
    assert process.returncode == 0
    assert told.count(b"from Python") == told.count(b"from C") == 2


def test_what_cannot_be_opened_ends_it(tmp_path: Path) -> None:
    result = run(command("mcp", "--index", str(tmp_path / "none")))
    assert (result.returncode, result.stdout) == (1, b"")
    assert result.stderr.decode().startswith(f"Error: {tmp_path / 'none'}: there is no such directory.")


@pytest.mark.parametrize("change", ["sys.modules['mcp'] = None", "sys.path.insert(0, {old!r})"])
def test_without_the_sdk_or_with_one_too_old(change: str, tmp_path: Path) -> None:
    (tmp_path / "mcp" / "server").mkdir(parents=True)
    (tmp_path / "mcp" / "__init__.py").touch()
    (tmp_path / "mcp" / "server" / "__init__.py").touch()  # the first SDK had no mcp.server.mcpserver
    without = (
        f"import sys; {change.format(old=str(tmp_path))}\n"
        f"sys.argv = ['tongues', 'mcp', '--index', {str(tmp_path / 'none')!r}]; from search.cli import run; run()"
    )
    result = run([sys.executable, "-c", without])  # it is told before anything is opened
    assert result.returncode == 1
    assert result.stderr.decode().strip().endswith("pip install 'manytongues[mcp]'")


def test_what_is_cited(tmp_path: Path) -> None:
    long = "word " * LONGEST_TEXT
    build_documents(
        [MARKED, Document("5", "long.txt", long, lang="en", metadata={"n": 5, "x": [1] * 999})],
        tmp_path,
        encoder=ToyEncoder(max_tokens=512),
    )
    with Searcher.open(tmp_path, encoder=ToyEncoder(max_tokens=512)) as searcher:
        tools = Tools(searcher)
        first = tools.search("trains rest", 1, None, None).passages[0]
        assert (first.cite, first.locator) == ("talk.srt, 1:10", "t=70")
        assert first.sentence == "The rest of the talk is about trains."
        assert tools.get_context(first.passage_id, 0).cite == "talk.srt, 1:01"
        other = tools.search("word", 1, [], None).passages[0]
        assert (other.cite, other.metadata["n"], len(other.metadata["x"])) == ("long.txt", 5, 504)
        with pytest.raises(QueryError, match="give a number"):
            tools.get_context(first.passage_id, -1)
        assert tools.languages()["languages"] == [{"lang": "en", "passages": searcher.manifest.counts.passages}]


def test_what_hosts_are_told_to_start_is_there() -> None:
    blocks = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "serving.md").read_text("utf-8"), re.DOTALL)
    entries = [
        entry
        for found in map(json.loads, blocks)
        for key in ("mcpServers", "servers")
        for entry in found.get(key, {}).values()
    ]
    assert len(entries) == 2
    for entry in entries:
        assert Path(entry["command"]).name == "tongues"
        name, *arguments = entry["args"]
        assert main.commands[name].make_context(name, arguments).params["directory"]
