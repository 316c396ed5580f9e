"""Where an index lies in Milvus: a file of the embedded one, or a server, and the name of its collections there."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from index.config import IndexKind
from index.errors import SettingsError
from index.milvus_kinds import INDEX_TYPES, OF_A_FILE

SCHEME = "milvus:"
TOKEN_ENV = "TONGUES_MILVUS_TOKEN"
"""The environment variable that holds a server's token, or ``user:password``. It is written nowhere."""
_NAME = "manytongues"
_SHOWN = "milvus:./index.db or milvus:https://host:19530, with #NAME behind it where a server holds several indexes"


@dataclass(frozen=True, slots=True)
class MilvusPlace:
    """Where collections are.

    Attributes:
        uri: An absolute path ending in ``.db``, or ``http(s)://host:port``, maybe with ``/database``; no credentials.
        name: What the collections' names begin with, and the alias of the current one. One name serves one index.
    """

    uri: str
    name: str = _NAME

    @classmethod
    def parse(cls, text: str) -> MilvusPlace:
        """Read ``milvus:URI#NAME``; ``milvus:`` and ``#NAME`` may be left out.

        Raises:
            SettingsError: When it names no place, or holds a password.
        """
        uri, _, name = text.removeprefix(SCHEME).partition("#")
        name = name or _NAME
        # Source: Milvus's rule for names of collections; ours get a number behind them.
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,199}", name):
            raise SettingsError(
                f"{text}: {name!r} cannot name a collection of Milvus. Use letters, digits and _, a letter first."
            )
        if not re.match(r"[a-z][a-z0-9+.-]+://", uri, re.IGNORECASE):
            if not uri.endswith(".db"):
                raise SettingsError(f"{text}: names no place of Milvus (a file ends in .db). Write {_SHOWN}.")
            return cls(str(Path(uri).expanduser().absolute()), name)
        try:
            parts = urlsplit(uri)
            has_host = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            has_host = False
        if not has_host:
            raise SettingsError(f"{text}: is no address of a Milvus server. Write {_SHOWN}.")
        if parts.username or parts.password:
            # Not shown: it would stay in logs what is not to be kept.
            raise SettingsError(
                f"milvus:{parts.scheme}://…@{parts.hostname}: holds a user or a password, which would be kept with the "
                f"index. Leave it out, and set {TOKEN_ENV} to user:password."
            )
        return cls(uri.rstrip("/"), name)

    @property
    def is_file(self) -> bool:
        """Whether it is a file of the embedded Milvus, which serves one program at a time."""
        return "://" not in self.uri

    def __str__(self) -> str:
        return f"{SCHEME}{self.uri}#{self.name}"

    def check_kind(self, kind: IndexKind) -> None:
        """Check, before any long work, that a vector index of a kind can be made here.

        Raises:
            SettingsError: When it cannot.
        """
        there = [IndexKind.AUTO, *(OF_A_FILE if self.is_file else INDEX_TYPES)]
        if kind not in there:
            what, other = ("the embedded Milvus", ", or use a server") if self.is_file else ("Milvus", "")
            raise SettingsError(
                f"{self}: {what} makes no vector index of kind {kind}. Choose {', '.join(there)}{other}."
            )

    def collection(self, number: int) -> str:
        """Return the name of the collection of a generation."""
        return f"{self.name}_g{number:06d}"

    def number(self, collection: str) -> int | None:
        """Return which generation a collection is, None when it is none of this place's name."""
        found = re.fullmatch(rf"{re.escape(self.name)}_g(\d{{6,}})", collection, re.ASCII)
        return int(found.group(1)) if found else None
