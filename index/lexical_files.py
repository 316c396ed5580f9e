"""The files of a lexical index, and the numbers that stand for terms in them.

lexical-terms.npy        64 bits of each term's hash, ascending: a place in it is a term's number
lexical-starts.npy       where each term's postings start, and the last one's end
lexical-rows.npy         the rows of each term, ascending
lexical-weights.npy      what the term is worth in that row by its count and the row's length, 0..1 times 255
lexical-lang-starts.npy  where each term's languages start, and the last one's end
lexical-langs.npy        language code, and in how many rows of that language the term stands
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

TERMS = "lexical-terms.npy"
STARTS = "lexical-starts.npy"
ROWS = "lexical-rows.npy"
WEIGHTS = "lexical-weights.npy"
LANG_STARTS = "lexical-lang-starts.npy"
LANG_COUNTS = "lexical-langs.npy"
TYPES = {
    TERMS: "uint64",
    STARTS: "int64",
    ROWS: "uint32",
    WEIGHTS: "uint8",
    LANG_STARTS: "int64",
    LANG_COUNTS: "uint32",
}
LEXICAL_FILES = tuple(TYPES)


@lru_cache(65_536)
def term_key(term: str) -> int:
    """Return the 64 bits that stand for a term, so that an index needs no vocabulary."""
    return int.from_bytes(hashlib.blake2b(term.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
