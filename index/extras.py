"""Libraries that only some uses need: the error that names what to install."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from index.errors import ExtraMissingError


@contextlib.contextmanager
def needs(extra: str, what: str) -> Iterator[None]:
    """Import, within the block, what an extra of the package brings.

    Args:
        extra: The extra, as it is named in ``pip install 'manytongues[EXTRA]'``.
        what: What cannot be done without it: the beginning of the message.

    Raises:
        ExtraMissingError: When a library is not there, or cannot be imported.
    """
    try:
        yield
    except ImportError as error:
        raise ExtraMissingError(
            f"{what} cannot be done here ({error}). Install what it needs with: pip install 'manytongues[{extra}]'"
        ) from error
