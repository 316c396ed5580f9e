"""Tables as lines of plain text."""

from __future__ import annotations

from collections.abc import Sequence

NOTHING = "-"
"""Stands where there is no number."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table: columns two spaces apart, the first one's text to the left, numbers to the right."""
    widths = [max(len(row[at]) for row in (head, *rows)) for at in range(len(head))]
    return ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in (head, *rows)]


def number(value: float | None) -> str:
    """Write a number with three decimals."""
    return NOTHING if value is None else f"{value:.3f}"


def change(value: float) -> str:
    """Write a difference with its sign and three decimals; one that rounds to nothing has no sign."""
    return f"{value:+.3f}" if round(abs(value), 3) else number(0)


def p_value(value: float) -> str:
    """Write a p-value with three decimals, and one that is smaller than they can show as such."""
    return number(value) if value >= 0.001 else "<0.001"
