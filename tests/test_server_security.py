"""Who may ask, by which name, and what is told of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from index.errors import InputError, SettingsError
from search.server.auth import KEY_VARIABLE, has_key, is_loopback, read_key, settings_from
from search.server.logs import LineFormatter
from search.server.settings import Limits, ServerSettings
from search.server.sources import Shortener
from tests.builds import documents, make_index
from tests.servers import Served, served

KEY = "k3y-that-nobody-guesses-0123456789"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("security") / "index"
    make_index(out, documents("one word", "two words"))
    return out


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[Served]:
    settings = ServerSettings(port=0, api_key=KEY, origins=("https://good.example",), hosts=("search.example",))
    with served(folder, settings) as running:
        yield running


@pytest.mark.parametrize("path", ["/search?q=word", "/languages", "/passages/00", "/metrics", "/openapi.json", "/no"])
@pytest.mark.parametrize(
    "shown", ["", "Bearer", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Basic {KEY}", KEY, "Bearer é"]
)
def test_without_the_key_there_is_nothing(server: Served, path: str, shown: str) -> None:
    headers = [(b"authorization", shown.encode())] if shown else []
    answer = httpx.get(server.url + path, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="manytongues"')
    assert answer.json() == {"error": "this server wants its API key. Send it as the header Authorization: Bearer KEY."}


def test_with_the_key_there_is(server: Served) -> None:
    for scheme in ("Bearer", "bearer"):
        answer = httpx.get(f"{server.url}/search?q=word", headers={"authorization": f"{scheme} {KEY}"})
        assert answer.status_code == 200
    twice = [("authorization", f"Bearer {KEY}"), ("authorization", "Bearer other")]
    assert httpx.get(f"{server.url}/search?q=word", headers=twice).status_code == 401
    assert httpx.get(f"{server.url}/search?q=word&api_key={KEY}").status_code == 401


@pytest.mark.parametrize("path", ["/", "/web/index.html", "/health", "/ready"])
def test_the_page_and_whether_the_server_is_there_need_none(server: Served, path: str) -> None:
    assert httpx.get(server.url + path).status_code == 200


def test_the_key_is_in_no_figure_and_no_schema(server: Served) -> None:
    for path in ("/metrics", "/openapi.json"):
        answer = httpx.get(server.url + path, headers={"authorization": f"Bearer {KEY}"})
        assert answer.status_code == 200
        assert KEY not in answer.text
    assert KEY not in repr(ServerSettings(api_key=KEY))


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:9", 200),
        ("LOCALHOST", 200),
        ("[::1]:8080", 200),
        ("127.9.9.9", 200),
        ("search.example", 200),
        ("evil.example", 400),
        ("evil.example:127", 400),
        ("127.0.0.1.evil.example", 400),
        ("localhost.evil.example", 400),
        ("192.168.1.7", 400),
        ("", 400),
        ("[::1]evil", 400),
        ("[::1", 400),
        ("localhost:80:evil", 400),
        ("localhost:evil", 400),
    ],
)
def test_a_name_that_leads_here_from_elsewhere(server: Served, host: str, status: int) -> None:
    assert httpx.get(f"{server.url}/health", headers={"host": host}).status_code == status


def test_only_pages_that_are_named_may_ask(server: Served) -> None:
    asked = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}
    for origin, allowed in (("https://good.example", True), ("https://evil.example", False)):
        before = httpx.options(f"{server.url}/search", headers={"origin": origin, **asked})
        assert (before.status_code == 200) is allowed
        answer = httpx.get(f"{server.url}/search?q=a", headers={"origin": origin})  # it may read that it needs a key
        assert answer.status_code == 401
        assert answer.headers.get("access-control-allow-origin") == (origin if allowed else None)


def test_beyond_this_machine_a_key_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    for host in ("0.0.0.0", "::", "192.0.2.1", ""):
        with pytest.raises(SettingsError, match=r"so it needs an API key\. Put one into a file .* --api-key-file"):
            settings_from(host, 0, None, (), (), Limits())
    for host in ("127.0.0.1", "localhost", "::1", "127.1.2.3"):
        assert settings_from(host, 0, None, (), (), Limits()).api_key == ""
    (tmp_path / "key").write_text(f"{KEY}\n")
    assert settings_from("0.0.0.0", 0, str(tmp_path / "key"), (), (), Limits()).api_key == KEY
    monkeypatch.setenv(KEY_VARIABLE, KEY)
    assert settings_from("0.0.0.0", 0, None, (), (), Limits()).api_key == KEY


def test_what_is_no_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)
    assert read_key(None) == ""
    file = tmp_path / "key"
    for text in ("", "\n", "short", "two words of a key that is long", "x" * 2000, "kéy-that-is-no-ascii-at-all"):
        file.write_text(text, "utf-8")
        with pytest.raises(SettingsError, match="holds no API key") as caught:
            read_key(str(file))
        assert not text.strip() or text.strip() not in str(caught.value)
    with pytest.raises(InputError, match=r"no: the API key cannot be read \(No such file or directory\)"):
        read_key(str(tmp_path / "no"))
    file.write_bytes(b"\xff" * 32)
    with pytest.raises(InputError, match=r"\(no text\)"):
        read_key(str(file))
    monkeypatch.setenv(KEY_VARIABLE, "short")
    with pytest.raises(SettingsError, match=r"^TONGUES_API_KEY: holds no API key"):
        read_key(None)


def test_settings_that_cannot_be() -> None:
    for origin in ("good.example", "https://good.example/path", "null", "https://"):
        with pytest.raises(SettingsError, match=r"^--cors .*: no origin"):
            settings_from("127.0.0.1", 0, None, (origin,), (), Limits())
    allowed = ("https://good.example:8443", "http://[::1]:80", "*")
    told = ("https://good.example:8443", "http://[::1]", "*")
    assert settings_from("127.0.0.1", 0, None, allowed, (), Limits()).origins == told
    for origin in ("https://Good.Example", "https://good.example:443"):
        assert settings_from("127.0.0.1", 0, None, (origin,), (), Limits()).origins == ("https://good.example",)
    for name in ("good.example:8443", "https://good.example", "*.example", "good.example/", "fd00::1", ""):
        with pytest.raises(SettingsError, match=r"^--allow-host .*: no name of a machine"):
            settings_from("127.0.0.1", 0, None, (), (name,), Limits())
    assert settings_from("127.0.0.1", 0, None, (), ("[fd00::1]", "A.b"), Limits()).hosts == ("fd00::1", "A.b")
    with pytest.raises(SettingsError, match="no address of this machine"):
        is_loopback("no-such-name.invalid")


def test_a_key_is_compared_whole() -> None:
    assert has_key(b"Bearer abc", "abc")
    for shown in (b"", b"abc", b"Bearer abcd", b"Bearer ab", b"Bearer ", b"Digest abc", b"Bearer abc abc"):
        assert not has_key(shown, "abc")


def test_lines_of_the_log_cannot_be_forged() -> None:
    record = logging.LogRecord("x", logging.ERROR, "f", 1, "bad %s", ("a\nb\x1b[2J\u202e",), None)
    assert LineFormatter().format(record).endswith("error: bad a\\nb\\x1b[2J\\u202e")
    try:
        raise ValueError("one\n2026-01-01 error: forged")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    lines = LineFormatter().format(record).splitlines()
    assert len(lines) > 3
    assert all(line.startswith("  | ") for line in lines[1:])


def test_queries_are_not_logged(server: Served, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    headers = {"authorization": f"Bearer {KEY}"}
    for path in ("/search?q=secretword", "/search?q=secretword&k=0", "/search?q=secretword&lang=xx"):
        assert "secretword" not in httpx.get(server.url + path, headers=headers).json().get("error", "")
    own = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]
    told = [(record.name, record.getMessage()) for record in own]
    assert [one for one in told if "secretword" in one[1] or KEY in one[1]] == []


@pytest.mark.parametrize(
    ("named", "source", "shown"),
    [
        ("/home/me/docs", "/home/me/docs/a/b.md", "docs/a/b.md"),
        ("/home/me/docs/", "/home/me/docs/b.md", "docs/b.md"),
        ("/home/me/x.jsonl", "/home/me/x.jsonl", "x.jsonl"),
        ("/home/me/docs/**/*.md", "/home/me/docs/a/b.md", "docs/a/b.md"),
        ("/home/me/do*/x.md", "/home/me/docs/x.md", "me/docs/x.md"),
        ("/home/me/docs", "/home/me/docs-old/b.md", "b.md"),
        ("docs", "docs/b.md", "docs/b.md"),
        ("docs", "/elsewhere/b.md", "b.md"),
        ("/", "/etc/b.md", "etc/b.md"),
        ("C:\\Users\\me\\docs", "C:/Users/me/docs/a.md", "docs/a.md"),
        ("docs", "C:\\Users\\me\\a.md", "a.md"),
        ("docs", "intranet", "intranet"),
        ("docs", "https://intranet/page", "https://intranet/page"),
    ],
)
def test_sources_are_shown_below_what_was_named(named: str, source: str, shown: str) -> None:
    short = Shortener([named, "/home/me/docs/very/deep", "other"])
    assert short(source) == short(source) == shown
