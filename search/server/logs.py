"""Lines for the one who runs the server, on standard error. Queries and keys are in none of them."""

from __future__ import annotations

import logging
import re
import sys

_STEERING = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


class LineFormatter(logging.Formatter):
    """One line a record: what would steer a terminal is escaped; the lines of a traceback are set apart."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as shown."""
        lines = [escaped(f"{self.formatTime(record)} {record.levelname.lower()}: {record.getMessage()}")]
        if record.exc_info:
            lines += [f"  | {escaped(line)}" for line in self.formatException(record.exc_info).splitlines()]
        return "\n".join(lines)


def escaped(text: str) -> str:
    """Return a text whose control characters are written as Python writes them."""
    return _STEERING.sub(lambda found: found.group().encode("unicode_escape").decode(), text)


def log_to_stderr(*, quiet: bool) -> None:
    """Have the server and its HTTP library tell what goes wrong; unless quiet, also what changes."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter())
    for name, level in (("search.server", logging.ERROR if quiet else logging.INFO), ("uvicorn", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False
