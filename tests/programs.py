"""Programs that write down what they were called with, to stand where a user's editor or browser stands."""

from __future__ import annotations

import json
import sys
from pathlib import Path

_RECORDS = """#!{python}
import json, os, sys
with open({log!r}, "a", encoding="utf-8") as log:
    at_terminal = [os.isatty(0), os.isatty(1)]
    log.write(json.dumps([os.path.basename(sys.argv[0]), sys.argv[1:], at_terminal]) + "\\n")
sys.exit({status})
"""


class Programs:
    """A folder of such programs, and what they wrote down."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder = folder
        self._log = folder / "calls"

    def add(self, name: str, status: int = 0) -> Path:
        """Put a program into the folder that ends with a status."""
        path = self.folder / name
        path.write_text(_RECORDS.format(python=sys.executable, log=str(self._log), status=status), "utf-8")
        path.chmod(0o755)
        return path

    def calls(self) -> list[tuple[str, list[str]]]:
        """Return the programs called since this was asked last, each with its arguments."""
        lines = self._log.read_text("utf-8").splitlines() if self._log.exists() else []
        self._log.unlink(missing_ok=True)
        return [(name, arguments) for name, arguments, _ in map(json.loads, lines)]
