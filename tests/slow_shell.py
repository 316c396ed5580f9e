"""``tongues shell`` over a toy index whose questions about "slow" take a minute: run by tests at a terminal."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

from search.searcher import Searcher
from search.shell import Shell
from search.shell_lines import read_lines
from search.terminal import plain_errors
from tests.toys import ToyEncoder

if TYPE_CHECKING:
    from index.records import Vectors


class SlowEncoder(ToyEncoder):
    """Computes as the toy does, after a minute where a text says so."""

    def encode_queries(self, texts: Sequence[str]) -> Vectors:
        if any("slow" in text for text in texts):
            print("computing", flush=True)
            time.sleep(60)
        return super().encode_queries(texts)


def main(directory: str) -> None:
    """Ask the index until the end."""
    with plain_errors(), Searcher.open(directory, encoder=SlowEncoder()) as searcher:
        shell = Shell(searcher, is_interactive=True)
        shell.run(read_lines(keep=False, complete=shell.complete))


if __name__ == "__main__":
    main(sys.argv[1])
