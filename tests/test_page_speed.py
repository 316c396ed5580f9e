"""How long one waits on the page from Enter until results are painted."""

from __future__ import annotations

import statistics
from typing import TYPE_CHECKING

from index.sample_corpus import read_questions
from tests.browsing import Served, answered

if TYPE_CHECKING:
    from playwright.sync_api import Page

N_ASKED = 20
BOUND = 500.0
"""Milliseconds: several times what it takes, since other programs may have the machine."""

# From the key to the frame after the one in which the results were put.
WATCH = """() => {
  const list = document.getElementById("found");
  window.waits = [];
  addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    const began = event.timeStamp;
    const observer = new MutationObserver(() => {
      observer.disconnect();
      requestAnimationFrame(() => {
        const channel = new MessageChannel();
        channel.port1.onmessage = () => window.waits.push(performance.now() - began);
        channel.port2.postMessage(0);
      });
    });
    observer.observe(list, { childList: true });
  }, true);
}"""


def waits(page: Page, served: Served, n: int) -> list[float]:
    """Ask different questions one after the other; return the milliseconds from Enter to painted results."""
    page.goto(served.url(q="warm"))
    answered(page)
    page.evaluate(WATCH)
    for i, question in enumerate(read_questions()[:n], 1):
        page.fill("#q", question.text)
        page.press("#q", "Enter")
        page.wait_for_function("n => window.waits.length === n", arg=i)
        answered(page)
    found: list[float] = page.evaluate("window.waits")
    return found


def test_results_are_painted_soon_after_enter(page: Page, served: Served) -> None:
    measured = waits(page, served, N_ASKED)
    print(f"Enter to painted results: median {statistics.median(measured):.0f} ms of {N_ASKED}")
    assert statistics.median(measured) < BOUND
