"""Reading documents: which files there are, and what they say.

``find_files`` goes from paths, folders and patterns to files; ``read_file`` from a file to documents, with the reader
of its suffix. What cannot be read comes out as a ``Rejected``, never as a silent gap.
"""

from index.readers.registry import ReaderModule, read_file, supported_suffixes
from index.readers.source_file import SourceFile
from index.readers.sources import find_files

__all__ = ["ReaderModule", "SourceFile", "find_files", "read_file", "supported_suffixes"]
