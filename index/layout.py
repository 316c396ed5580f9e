"""The files of an index directory, by name.

DIR/CURRENT                     the name of the generation to read
DIR/embedded/                   what an unfinished build has embedded so far
DIR/generations/NAME/
    manifest.json               what is in it, with size and sha256 of every file
    passages.sqlite             documents, passages, which passage stands where, the files they were read from
    offsets.npy                 where each language stands apart in the vector space, float32
    dead.npy                    rows that stand in no document any more, int64, ascending
    SEGMENT/                    passages written at one time, in the order of their rows
        vectors.npy             one unit vector a passage
        langs.npy               one language code a passage, uint16
        index.faiss             the vector index of the vectors with the offsets partly taken out
        sentences.npy, ...      vectors of the passages' sentences, int8, and where they stand
        lexical-rows.npy, ...   which passages hold which words

Generations and segments never change once they are written. A new generation shares the segments of the one before by
hard links, so an update writes what is new and little more. Formats 1 and 2 had one segment, in the folder itself.
"""

from __future__ import annotations

from collections.abc import Sequence

from index.lexical_files import LEXICAL_FILES
from index.sentence_files import SENTENCE_FILES

CURRENT = "CURRENT"
GENERATIONS = "generations"
EMBEDDED = "embedded"
MANIFEST = "manifest.json"
DATABASE = "passages.sqlite"
OFFSETS = "offsets.npy"
DEAD = "dead.npy"
VECTORS = "vectors.npy"
LANGS = "langs.npy"
FAISS = "index.faiss"
SEGMENT_FILES = (VECTORS, LANGS, FAISS, *SENTENCE_FILES, *LEXICAL_FILES)
SHARED_FILES = (DATABASE, OFFSETS, DEAD)
"""The files of a generation beside its manifest and its segments."""
_FORMAT_1 = (DATABASE, VECTORS, LANGS, FAISS)
_FORMAT_2 = (DATABASE, OFFSETS, *SEGMENT_FILES)


def within(segment: str, name: str) -> str:
    """Return a file of a segment as a path below the generation's folder; "" is the folder itself."""
    return f"{segment}/{name}" if segment else name


def files_of(format_version: int, segments: Sequence[str], *, elsewhere: bool = False) -> tuple[str, ...]:
    """Return the paths of the files that a generation has beside its manifest.

    Args:
        format_version: The version of the directory's form.
        segments: The names of its segments.
        elsewhere: Whether passages and vectors are not in files.
    """
    if format_version < 3:
        return _FORMAT_1 if format_version == 1 else _FORMAT_2
    of_segment = (LANGS, *LEXICAL_FILES) if elsewhere else SEGMENT_FILES
    return (*SHARED_FILES, *(within(segment, name) for segment in segments for name in of_segment))
