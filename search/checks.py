"""What is refused before anything is asked: the same here, in a server, and in a server's client."""

from __future__ import annotations

import re
from collections.abc import Sequence

from index.errors import QueryError


def check_queries(queries: Sequence[str]) -> None:
    """Check that queries hold something.

    Raises:
        QueryError: For an empty one; of several it is told by its number.
    """
    for number, query in enumerate(queries, 1):
        if not query.strip():
            which = f"query {number} of {len(queries)} is empty" if len(queries) > 1 else "the query is empty"
            raise QueryError(f"{which}; ask with at least one word.")


def is_passage_id(text: str) -> bool:
    """Tell whether a text is written as ids of passages are."""
    return re.fullmatch("[0-9a-f]{20}", text) is not None


def no_passage(passage_id: str) -> QueryError:
    """Return the error for an id that the index does not hold."""
    return QueryError(
        f"the index holds no passage {passage_id[:40]!r}; take the passage_id of a hit. Ids of passages that were "
        "changed or removed since are gone."
    )
