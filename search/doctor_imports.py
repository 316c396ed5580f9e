"""Whether what is installed can be imported: tried in another process, which a broken library may end."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import cache

_MODULES = {
    "faiss-cpu": "faiss",
    "mcp": "mcp.server.mcpserver",  # not in an SDK that is too old
    "python-docx": "docx",
    "python-pptx": "pptx",
}
"""What to import of a distribution, where it is not of the same name."""
_LONGEST = 120.0
"""Seconds; all of them together take some seven on two cores."""
# What libraries print must not get between the answers, and none may end badly after it was imported.
_TRY = """
import importlib, json, os, sys
out = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)
for name in sys.argv[1:]:
    try:
        importlib.import_module(name)
        why = ""
    except BaseException as error:
        why = f"{type(error).__name__}: {error}".splitlines()[0]
    print(json.dumps([name, why]), file=out, flush=True)
os._exit(0)
"""


@cache
def broken_of(distributions: tuple[str, ...]) -> dict[str, str]:
    """Return which of the installed distributions cannot be imported, and why; asked once of the same ones.

    Raises:
        OSError: When no process can be started.
    """
    modules = {name: _MODULES.get(name, name.replace("-", "_")) for name in distributions}
    rest, why = list(modules.values()), dict[str, str]()
    while rest:
        try:
            done = subprocess.run(
                [sys.executable, "-B", "-P", "-c", _TRY, *rest],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=_LONGEST,
                check=False,
            )
            answers, ended = done.stdout, f"ends Python with status {done.returncode}"
        except subprocess.TimeoutExpired as error:
            answers, ended = error.stdout or b"", f"takes more than {_LONGEST:.0f} s"
        why.update(json.loads(line) for line in answers.splitlines())
        rest = [module for module in rest if module not in why]
        if rest:
            why[rest.pop(0)] = ended  # it was at this one; the others are tried without it
    return {name: why[module] for name, module in modules.items() if why[module]}
