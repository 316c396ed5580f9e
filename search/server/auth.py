"""Who may ask: keys, and the names the server is asked by."""

from __future__ import annotations

import hmac
import ipaddress
import os
import re
import socket
from collections.abc import Collection, Sequence
from pathlib import Path

from index.errors import InputError, SettingsError
from search.server.settings import Limits, ServerSettings

KEY_VARIABLE = "TONGUES_API_KEY"
SHORTEST_KEY = 16
_LONGEST_KEY = 1024
_KEY = re.compile(rf"[!-~]{{{SHORTEST_KEY},{_LONGEST_KEY}}}")
"""Letters, digits and signs that a header can carry."""
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.\-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?")
_DEFAULT_PORT = {"http": ":80", "https": ":443"}
_NAME = re.compile(r"[A-Za-z0-9._\-]+|\[[0-9A-Fa-f:.]+\]")
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^:\[\]]+))(?::\d*)?")
"""A Host header: an IPv6 address in brackets, or a name; and a port."""
OPEN_PATHS = frozenset({"/", "/health", "/ready"})
OPEN_BELOW = "/web/"


def settings_from(
    host: str, port: int, key_file: str | None, origins: Sequence[str], hosts: Sequence[str], limits: Limits
) -> ServerSettings:
    """Return checked settings.

    Raises:
        InputError: When the file of the key cannot be read.
        SettingsError: When a value cannot be, or others could ask without a key.
    """
    for origin in origins:
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            raise SettingsError(f"--cors {origin!r}: no origin. Write it as https://host or http://host:port, or '*'.")
    for name in hosts:
        if not _NAME.fullmatch(name):
            raise SettingsError(
                f"--allow-host {name!r}: no name of a machine. Write it without scheme, port and path, as "
                "search.example; an IPv6 address in brackets."
            )
    key = read_key(key_file)
    if not key and not is_loopback(host):
        raise SettingsError(
            f"--host {host}: others can reach this server there, so it needs an API key. Put one into a file "
            f"(`openssl rand -hex 32`) and name it with --api-key-file, or set {KEY_VARIABLE}."
        )
    names = tuple(name.strip("[]") for name in hosts)
    return ServerSettings(host, port, key, tuple(map(_as_sent, origins)), names, limits)


def _as_sent(origin: str) -> str:
    """Return an origin as browsers write it: in lower case, without the port that goes without saying."""
    scheme, separator, _ = origin.lower().partition(":")
    return origin.lower().removesuffix(_DEFAULT_PORT[scheme]) if separator else origin


def read_key(file: str | None) -> str:
    """Return the API key of a file, else of the environment, else "".

    Raises:
        InputError: When the file cannot be read.
        SettingsError: When what stands there is no key.
    """
    where, text = KEY_VARIABLE, os.environ.get(KEY_VARIABLE, "")
    if file is not None:
        where = file
        try:
            with Path(file).open(encoding="utf-8") as opened:
                text = opened.read(_LONGEST_KEY + 2)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or "no text"
            raise InputError(f"{file}: the API key cannot be read ({reason}). Name a file with it.") from None
    key = text.strip()
    if not _KEY.fullmatch(key) and (key or file is not None):
        raise SettingsError(
            f"{where}: holds no API key. A key is one word of {SHORTEST_KEY} to {_LONGEST_KEY} letters, digits and "
            "signs, for example what `openssl rand -hex 32` prints."
        )
    return key


def is_open(path: str) -> bool:
    """Tell whether a path needs no key: the page and its files, and whether the server is there."""
    return path in OPEN_PATHS or path.startswith(OPEN_BELOW)


def has_key(authorization: bytes, key: str) -> bool:
    """Tell whether an Authorization header shows the key; takes as long for a nearly right one as for a wrong one."""
    scheme, _, shown = authorization.partition(b" ")
    return hmac.compare_digest(shown.strip(), key.encode()) and scheme.lower() == b"bearer"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can reach an address or name.

    Raises:
        SettingsError: When the name is unknown.
    """
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(host or "0.0.0.0", None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError) as error:
        raise SettingsError(f"--host {host!r}: no address of this machine ({error}). Give one, or localhost.") from None
    return all(ipaddress.ip_address(one.partition("%")[0]).is_loopback for one in found)


def host_is_allowed(header: bytes, names: Collection[str]) -> bool:
    """Tell whether a Host header names this machine itself.

    Otherwise a web site could have its own name lead to this machine, and its pages read what is served here.

    Args:
        header: As sent, with or without a port.
        names: Further names that may be used, in lower case.
    """
    text = header.decode("latin-1").strip().lower()
    found = _HOST.fullmatch(text)
    if found is None:
        return False
    name = found[1] or found[2]
    if name == "localhost" or name in names:
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
