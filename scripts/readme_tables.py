"""Writes the measured tables of README.md from the raw results: python scripts/readme_tables.py [--check]."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import click

ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "scripts" / "results"


def chunking_table() -> str:
    """Return what the size of passages changes: a row a size, a column a set."""
    rows: list[dict[str, Any]] = json.loads((RESULTS / "chunking.json").read_text("utf-8"))["results"]
    rows = [row for row in rows if row["overlap_sentences"] == 1]
    sets = list(dict.fromkeys(row["set"] for row in rows))
    by_place = {(row["max_tokens"], row["set"]): row for row in rows}
    lines = ["| tokens | " + " | ".join(f"{name}: mean nDCG@10 | passages" for name in sets) + " |"]
    lines.append("|" + "---|" * (1 + 2 * len(sets)))
    for size in sorted({row["max_tokens"] for row in rows}):
        if not all((size, name) in by_place for name in sets):
            continue
        cells = [f"{by_place[size, name]['mean']:.3f} | {by_place[size, name]['passages']:,}" for name in sets]
        lines.append(f"| {size} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


TABLES = {"chunking": chunking_table}


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with status 1 when README.md is not up to date.")
def main(check: bool) -> None:
    """Put every table between its marks in README.md."""
    path = ROOT / "README.md"
    before = text = path.read_text("utf-8")
    for name, make in TABLES.items():
        mark = f"<!-- table {name} -->"
        start, _, end = re.split(f"({mark}\n.*?{mark})", text, maxsplit=1, flags=re.DOTALL)
        text = f"{start}{mark}\n{make()}\n{mark}{end}"
    if check and text != before:
        raise click.ClickException("README.md: a table differs from its results. Run: python scripts/readme_tables.py")
    if not check:
        path.write_text(text, "utf-8")


if __name__ == "__main__":
    main()
