"""Every error this project raises on purpose, in one tree.

    TonguesError
    ├── InputError           a path, file or field that cannot be used
    │   └── StrictError          something could not be read, where all had to be
    ├── SettingsError        a setting or configuration file that cannot be used
    ├── QueryError           a question, or a filter of it, that cannot be answered
    ├── ModelError           a model that is absent, damaged or out of reach
    │   └── BackendError         a sound model that OpenVINO cannot compute here
    ├── ExtraMissingError    a library that is not installed, for a use that needs it
    ├── ServerError          a server that cannot be reached, is busy or fails
    ├── ClusterError         a Ray cluster that cannot be reached, or fails
    └── StoreError           an index directory that cannot be read or written
        ├── NoIndexError         there is none
        ├── IndexFormatError     written in another format version
        ├── IndexDamagedError    a file is missing, cut short or changed
        └── EncoderMismatchError made with another encoder than the one at hand

A message says what is wrong, where, and how to mend it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from index.records import Rejected

REPAIR = "Run `tongues repair`, or build the index again."
"""How to mend a damaged index."""


class TonguesError(Exception):
    """Something the user can mend; the command line prints it as one line and exits with status 1."""


class InputError(TonguesError):
    """A path, file or field cannot be used."""


class StrictError(InputError):
    """Something could not be read in a build that was to be strict; the index is as it was.

    Attributes:
        rejected: What could not be read (``index.records.Rejected``), in order.
    """

    def __init__(self, message: str, rejected: Sequence[Rejected]) -> None:
        super().__init__(message)
        self.rejected = tuple(rejected)


class SettingsError(TonguesError):
    """A setting or a configuration file cannot be used."""


class QueryError(TonguesError):
    """A question, or a filter of it, cannot be answered."""


class ModelError(TonguesError):
    """A model is absent, damaged or out of reach."""


class BackendError(ModelError):
    """A sound model cannot be computed by the backend asked for; another one may."""


class ExtraMissingError(TonguesError):
    """A library is not installed that only this use needs."""


class ServerError(TonguesError):
    """A server of ours cannot be reached, is busy or fails."""


class ClusterError(TonguesError):
    """A Ray cluster cannot be reached, or fails at its work."""


class StoreError(TonguesError):
    """An index directory cannot be read or written."""


class NoIndexError(StoreError):
    """There is no index in the directory."""


class IndexFormatError(StoreError):
    """The index was written in another format version."""


class IndexDamagedError(StoreError):
    """A file of the index is missing, cut short or changed."""


class EncoderMismatchError(StoreError):
    """The index was made with another encoder than the one at hand."""
