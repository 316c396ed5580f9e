"""The unigram table: the very ids of the library ``tokenizers``, for any text."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, Tokenizer, models, normalizers, pre_tokenizers, processors

from index.sample_corpus import SAMPLES, read_questions
from index.text import for_model
from index.unigram import UnigramTable, write_table

LIMITS = (None, 512, 48, 3, 2)
PROMPTS = ("", "query: ", "passage: ")
# Each run of them is a place where a tokenizer may see something else than was typed.
ODD = [
    "  ",
    "\t\r\n ",
    "\u00a0\u2003\u3000",
    "\u2581",
    "می\u200cشود",
    "\u200d\u200e\u200f\u202b\u2069",
    "e\u0301\u0327\u0331",
    "గ్రంథాలయం ఎప్పుడు",
    "کتابخانه چه ساعتی",
    "لائبریری کب",
    "žąsis ėjo ūkanoje",
    "👩🏽\u200d🚀🇱🇹",
    "図書館はいつ开门吗",
    "\x00",
    "\ufeff\ufffd",
    "①ﬁ½Å㍿",
    "\U0010ffff",
    "< s>",
    "x" * 40,
]
# Lone surrogates are left out: a text comes through index.text.for_model, which replaces them.
CHARACTERS = st.characters(exclude_categories=["Cs"])
TEXTS = st.builds(
    "".join,
    st.tuples(st.sampled_from(PROMPTS), st.lists(st.sampled_from(ODD) | st.text(CHARACTERS, max_size=12)).map("".join)),
)

LETTERS = "abcdefg▁ž"
PIECES = [*LETTERS, *(a + b for a in LETTERS for b in LETTERS), *(a + "b" + c for a in LETTERS for c in LETTERS)]


SPECIAL = ["<s>", "</s>", "<pad>", "<unk>", "<mask>"]


class Pair:
    """A tokenizer, whole and as a table."""

    def __init__(self, folder: Path, tokenizer: str) -> None:
        assert write_table(json.loads(tokenizer), folder)
        self.table = UnigramTable(folder)
        self.whole = Tokenizer.from_str(tokenizer)
        self.whole.no_padding()

    def expected(self, text: str, limit: int | None = None, special: bool = True) -> list[int]:
        if limit is None:
            self.whole.no_truncation()
        else:
            self.whole.enable_truncation(limit)
        ids: list[int] = self.whole.encode(text, add_special_tokens=special).ids
        return ids

    def assert_same(self, text: str, limit: int | None = None, special: bool = True) -> None:
        assert self.table.encode(text, limit, special=special) == self.expected(text, limit, special)


@pytest.fixture(scope="module")
def offline(offline_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return Pair(tmp_path_factory.mktemp("table"), (offline_folder / "tokenizer.json").read_text("utf-8"))


@settings(max_examples=400, deadline=None)
@given(text=TEXTS, limit=st.sampled_from(LIMITS), special=st.booleans())
def test_any_text_has_the_ids_of_the_library(offline: Pair, text: str, limit: int | None, special: bool) -> None:
    if any(token in text for token in SPECIAL):  # Hypothesis tries texts that stand in the code
        assert offline.table.encode(text, limit, special=special) is None
    else:
        offline.assert_same(text, limit, special)


@pytest.mark.parametrize("special", [True, False])
@pytest.mark.parametrize("text", ["", " ", "\n", "\x00", "".join(ODD), "word " * 6_000, "గ్రం" * 3_000, "x" * 20_000])
def test_empty_odd_and_very_long_texts(offline: Pair, text: str, special: bool) -> None:
    for limit in LIMITS:
        offline.assert_same(text, limit, special)


def test_the_sample_corpus(offline: Pair) -> None:
    questions = [question.text for question in read_questions()]
    documents = [path.read_text("utf-8") for path in sorted(SAMPLES.glob("*/*"))]
    assert (len(questions), len(documents)) == (60, 52)
    for text in questions:
        for prompt in PROMPTS:
            offline.assert_same(prompt + for_model(text), 512)
    for text in documents:
        for limit in (None, 512):
            offline.assert_same(for_model(text), limit)
    assert max(len(offline.expected(text)) for text in documents) > 512


@pytest.mark.parametrize("token", SPECIAL)
def test_a_text_that_spells_a_special_token_needs_the_whole_tokenizer(offline: Pair, token: str) -> None:
    for text in (token, f"query: what is {token}?", f"a{token}a"):
        assert offline.table.encode(text) is None
        assert offline.table.encode(text, 48, special=False) is None
    offline.assert_same(f"query: what is {token[:-1]} >?")


def test_one_call_changes_nothing_of_the_next(offline: Pair) -> None:
    text = "query: " + "Kada atidaroma biblioteka? " * 30
    first = offline.table.encode(text)
    for limit in (8, None, 2):
        offline.table.encode("గ్రంథాలయం", limit, special=limit is None)
        assert offline.table.encode(text) == first


def unigram(vocabulary: list[tuple[str, float]], unk_id: int = 0, **parts: Any) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram(vocabulary, unk_id=unk_id, byte_fallback=False))
    for name, value in parts.items():
        setattr(tokenizer, name, value)
    return tokenizer


def table_of(folder: Path, tokenizer: Tokenizer) -> Pair:
    return Pair(folder, tokenizer.to_str())


@st.composite
def vocabularies(draw: st.DrawFn) -> list[tuple[str, float]]:
    # Scores in tenths: two ways to cut a word are often as good as each other.
    scores = st.integers(-200, 0).map(lambda n: n / 10)
    pieces = draw(st.lists(st.sampled_from(PIECES), min_size=1, max_size=len(PIECES), unique=True))
    return [("<unk>", draw(scores)), *((piece, draw(scores)) for piece in pieces)]


SHAPES: dict[str, dict[str, Any]] = {
    "bare": {},
    "always": {"pre_tokenizer": pre_tokenizers.Metaspace(prepend_scheme="always")},
    "first": {"pre_tokenizer": pre_tokenizers.Metaspace(prepend_scheme="first", split=False)},
    "never": {"pre_tokenizer": pre_tokenizers.Metaspace(prepend_scheme="never")},
    "nfkc": {
        "normalizer": normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.StripAccents()]),
        "pre_tokenizer": pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()]),
    },
    "replace": {"normalizer": normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])},
}


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    shape=st.sampled_from(sorted(SHAPES)),
    vocabulary=vocabularies(),
    texts=st.lists(st.text("abcdefgABž▁ ﬁ\n½é", max_size=30), min_size=1, max_size=5),
    limit=st.sampled_from([None, 4, 1]),
)
def test_small_tokenizers_of_all_shapes(
    tmp_path: Path, shape: str, vocabulary: list[tuple[str, float]], texts: list[str], limit: int | None
) -> None:
    # Pieces that no text holds: with them a text's own pieces are few, as in a vocabulary of ordinary size.
    others = [(chr(code), -30.0) for code in range(0x4E00, 0x4E00 + 500)]
    pair = table_of(tmp_path, unigram([*vocabulary, *others], **SHAPES[shape]))
    for text in texts:
        pair.assert_same(text, limit)


def test_special_tokens_at_both_ends_of_the_vocabulary(tmp_path: Path) -> None:
    pieces = [(piece, -1.0 - i / 7) for i, piece in enumerate(PIECES)]
    tokenizer = unigram([("<pad>", 0.0), ("<s>", 0.0), ("<unk>", 0.0), *pieces], unk_id=2)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.add_special_tokens(["<pad>", "<s>", "<unk>", "<end>"])
    end = tokenizer.token_to_id("<end>")
    assert end == len(PIECES) + 3
    tokenizer.post_processor = processors.TemplateProcessing(
        "<s> $A <end>", special_tokens=[("<s>", 1), ("<end>", end)]
    )
    pair = table_of(tmp_path, tokenizer)
    for text in ("", "abba cab", "q", "ž bad cabbage"):
        for limit in (None, 4):
            pair.assert_same(text, limit)
            pair.assert_same(text, limit, special=False)
    assert pair.table.encode("abba") == [1, *pair.expected("abba", special=False), end]
    for token in ("<end>", "<pad>"):
        assert pair.table.encode(f"abba {token}") is None


def test_a_special_token_that_is_spelled_only_once_it_is_normalized(tmp_path: Path) -> None:
    pieces = [(piece, -1.0 - i / 7) for i, piece in enumerate(PIECES)]
    tokenizer = unigram([("<unk>", 0.0), *pieces], normalizer=SHAPES["nfkc"]["normalizer"])
    tokenizer.add_tokens([AddedToken("<Mask>", normalized=True), AddedToken("<Raw>", normalized=False)])
    pair = table_of(tmp_path, tokenizer)
    for text in ("＜mask＞ a", "<MASK>", "<Raw>", "<Mask>"):
        assert pair.table.encode(text) is None
    for text in ("mask a", "＜raw a"):
        pair.assert_same(text)


def test_few_pieces_are_cut_right_or_not_at_all(tmp_path: Path) -> None:
    tokenizer = unigram([("<unk>", 0.0), ("a", -1.0), ("b", -2.0), ("ab", -2.5), ("▁", -3.0), ("▁a", -1.5)])
    pair = table_of(tmp_path, tokenizer)
    for text in ("", "x", "a", "ab", "ab▁ab", "xx▁b"):
        assert pair.table.encode(text) in (None, pair.expected(text))
    assert pair.table.encode("b") == [2]


def tokenizer_of(kind: str) -> Tokenizer:
    words = ["<unk>", "a", "b", "##b", "ab"]
    if kind == "wordpiece":
        return Tokenizer(models.WordPiece({word: i for i, word in enumerate(words)}, unk_token="<unk>"))
    if kind == "bpe":
        return Tokenizer(models.BPE({word: i for i, word in enumerate(words)}, [("a", "b")], unk_token="<unk>"))
    if kind == "bytes":
        named = [(f"<0x{byte:02X}>", -5.0) for byte in range(256)]
        return Tokenizer(models.Unigram([("<unk>", 0.0), *named, ("a", -1.0)], unk_id=0, byte_fallback=True))
    pieces = [(piece, -1.0) for piece in islice(PIECES, 40)]
    made = {
        "no unknown": (pieces, None),
        "unknown far": ([*pieces, ("<unk>", 0.0)], len(pieces)),
        "nothing but unknown": ([("<unk>", 0.0)], 0),
        "an empty piece": ([("<unk>", 0.0), ("", -1.0), *pieces], 0),
        "a piece twice": ([("<unk>", 0.0), *pieces, pieces[0]], 0),
    }
    vocabulary, unk_id = made[kind]
    return Tokenizer(models.Unigram(vocabulary, unk_id=unk_id, byte_fallback=False))


@pytest.mark.parametrize(
    "kind",
    [
        "wordpiece",
        "bpe",
        "bytes",
        "no unknown",
        "unknown far",
        "nothing but unknown",
        "an empty piece",
        "a piece twice",
    ],
)
def test_what_cannot_be_a_table_is_refused(kind: str, tmp_path: Path) -> None:
    assert write_table(json.loads(tokenizer_of(kind).to_str()), tmp_path) is False
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_a_table(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="tokenizer_shell"):
        UnigramTable(tmp_path)
