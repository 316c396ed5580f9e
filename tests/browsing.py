"""A real browser on a real server: how the tests of the page find one, start both, and watch what the page does."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from index.records import Document, Mark
from tests.builds import ROOT, command, environment

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page, ViewportSize

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
"""What keeps a browser without a screen to the pages it is told to open."""
KEY = "a-key-of-the-tests-0123456789"
PHONE: ViewportSize = {"width": 390, "height": 780}
DESKTOP: ViewportSize = {"width": 1200, "height": 900}
REFUND = "How can I get my money back for something I bought online?"


def find_browser() -> str:
    """Return the program to run.

    Raises:
        RuntimeError: When there is none.
    """
    for name in BROWSERS:
        found = shutil.which(name)
        if found:
            return found
    raise RuntimeError(
        f"the page is tested in a browser, and there is none of {', '.join(BROWSERS)}. "
        "Run: bash scripts/browser.sh, which installs Debian's, or install Chromium yourself."
    )


@contextlib.contextmanager
def open_browser() -> Iterator[Browser]:
    """Start a browser without a screen; one for all the tests of a file, since asyncio cannot run beside it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=list(QUIET))
        try:
            yield browser
        finally:
            browser.close()


@dataclass(slots=True)
class Served:
    """A server in a process of its own, as a user starts it."""

    process: subprocess.Popen[bytes]
    address: str

    def url(self, **state: str | int) -> str:
        """Return the address of the page in a state."""
        return f"{self.address}?{urlencode(state)}" if state else self.address

    def end(self) -> None:
        """Ask it to end, as Ctrl-C does."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def serving(index: Path, port: int = 0, **variables: str) -> Iterator[Served]:
    """Serve an index; the address is the one that the server tells."""
    args = command("serve", "--index", str(index), "--port", str(port))
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(args, stderr=log, cwd=ROOT, env=environment(**variables))
        served = Served(process, told_address(process, log))
        try:
            yield served
        finally:
            if process.poll() is None:
                served.end()


def told_address(process: subprocess.Popen[bytes], log: IO[bytes]) -> str:
    """Wait for the address that a server tells.

    Raises:
        RuntimeError: When it ends instead, or takes more than a minute.
    """
    for _ in range(600):
        told = os.pread(log.fileno(), 10_000, 0).decode()
        found = [line.split()[0] for line in told.splitlines(keepends=True) if line.startswith("http") and "\n" in line]
        if found:
            return found[0]
        if process.poll() is not None:
            break
        time.sleep(0.1)
    process.kill()
    raise RuntimeError(f"tongues serve did not begin: {told}")


@dataclass(slots=True)
class Watch:
    """What a page did that it must not do."""

    host: str
    asked: list[str] = field(default_factory=list)
    """The paths of every request, in order."""
    elsewhere: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def check(self) -> None:
        """Nothing was asked of another host, no policy was broken, no error was left to the console."""
        assert self.elsewhere == []
        assert self.complaints == []

    def saw(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.netloc == self.host and parts.scheme == "http":
            self.asked.append(f"{parts.path}?{parts.query}" if parts.query else parts.path)
        else:
            self.elsewhere.append(url)

    def heard(self, kind: str, text: str) -> None:
        # A browser reports every answer of 4xx as an error, also those that the page tells of itself.
        if kind in ("error", "warning", "assert") and not text.startswith("Failed to load resource"):
            self.complaints.append(text)


def watched_page(context: BrowserContext, address: str, *, stops: bool = False) -> tuple[Page, Watch]:
    """Open an empty page of which all requests and messages are noted.

    Args:
        context: Where to open it.
        address: Of the server; requests elsewhere are complaints.
        stops: Stop requests elsewhere too; every request then takes a way round, which costs time.
    """
    page, watch = context.new_page(), Watch(urlsplit(address).netloc)
    page.set_default_timeout(10_000)
    page.on("request", lambda request: watch.saw(request.url))
    page.on("console", lambda message: watch.heard(message.type, message.text))
    page.on("pageerror", lambda error: watch.complaints.append(str(error)))
    if stops:
        page.route(lambda url: urlsplit(url).netloc != watch.host, lambda route: route.abort())
    return page, watch


def answered(page: Page) -> None:
    """Wait until results are shown."""
    page.wait_for_function(
        "() => document.querySelector('.row') && !document.getElementById('results').hasAttribute('aria-busy')"
    )


def ask(page: Page, question: str) -> None:
    """Type a question, press Enter, wait for what is found."""
    page.fill("#q", question)
    page.press("#q", "Enter")
    page.wait_for_function("q => document.title.startsWith(q)", arg=question)
    answered(page)


def wait_until_free(address: str) -> None:
    """Wait until nobody listens at an address."""
    import socket

    host, port = str(urlsplit(address).hostname), urlsplit(address).port
    for _ in range(100):
        with socket.socket() as one:
            if one.connect_ex((host, port or 80)):
                return
        time.sleep(0.05)
    raise RuntimeError(f"{address} still answers")


LONG_NAME = "a-file-name-that-goes-on-" + "and-on-" * 16 + "(2).jsonl"
SCRIPT = "<script>window.harmed = 1</script>"
IMAGE = "<img src='http://198.51.100.7/x.png' onerror='window.harmed = 1'>"


def odd_documents() -> list[Document]:
    """Make documents of the kinds that pages get wrong."""
    fox = (
        "The red fox 🦊🦊 lives by the river. The old scribe wrote 𐍅𐍂𐌹𐍄𐌰𐌽 and 𝒜 in the margin 👩‍👩‍👧. "
        "The ferry 🚢 to the island leaves at seven every morning 🌅. Nobody knows 𝔴𝔥𝔶 it is never late."
    )
    first = "The lighthouse keeper writes down the weather every hour. "
    talk = first * 3 + "On the second day a storm broke the lamp of the lighthouse. " + first * 3
    dv = "ރިފަންޑް ލިބޭނީ ސާދަ ދުވަހުގެ ތެރޭގައެވެ. ވިޔަފާރިވެރިޔާއަށް ލިޔުމުން އަންގަންޖެހެއެވެ."
    he = "אפשר לקבל החזר כספי בתוך 14 ימים, לפי Order #12 (ראו עמוד 3)."
    mixed = (
        "The tide tables of the harbour are printed every spring and sold at the kiosk. " * 4
        + "\n\n"
        + "جدول جزر و مد بندر هر بهار چاپ می‌شود و در دکهٔ کنار اسکله به فروش می‌رسد. " * 4
    )
    return [
        Document("mixed", "odd/mixed.txt", mixed, "Tides"),
        Document("fox", "odd/fox.txt", fox, "Fox notes 🦊", "en"),
        Document("talk", "odd/talk.srt", talk, "The lamp", "en", marks=(Mark(0, "t=0"), Mark(len(first), "t=61.5"))),
        Document(
            f"{IMAGE}7",
            f"odd/{SCRIPT}.jsonl",
            f"{SCRIPT} Harmful zebra markup {IMAGE} stands in this <b>text</b> &amp; stays text.",
            f"{IMAGE}{SCRIPT}",
            "en",
            metadata={f"<i>{SCRIPT}": f"{IMAGE}", "year": 2024},
        ),
        Document("he", f"odd/{LONG_NAME}", he, "החזר כספי", "he"),
        Document("dv", "odd/dv.txt", dv, "ރިފަންޑް", "dv"),
        Document("uz", "odd/uz.txt", "Pulni qaytarish oʻn toʻrt kun ichida amalga oshiriladi.", "Pul", "uz"),
        Document("uz-arab", "odd/uz-arab.txt", "پولنی قیتریش اون تورت کون ایچیده عملگه آشیریلهدی.", "پول", "uz-Arab"),
        *(
            Document(name, f"odd/{name}.txt", "The museum of bicycles is closed on Mondays.", "Museum", "en")
            for name in ("one", "two", "three")
        ),
    ]
