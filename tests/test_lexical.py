"""Ranking by words: BM25 against another implementation, languages, candidates, and files that are not whole."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import bm25s
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from index import lexical_query, postings
from index.errors import IndexDamagedError
from index.lexical import LEXICAL_FILES, LexicalIndex, LexicalWriter
from index.terms import terms

FEW = ["red green green", "red blue", "", "violet red green blue white white white"]
LETTERS = "abcdefgh"
WORDS = st.lists(st.sampled_from(["a", "b", "c", "dd", "కాల", "سلام"]), max_size=12).map(" ".join)


def write(folder: Path, texts: Sequence[str], langs: Sequence[int] | None = None, n_at_once: int = 1000) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    writer = LexicalWriter(folder)
    for at in range(0, len(texts), n_at_once):
        writer.append(texts[at : at + n_at_once])
    writer.finish(np.array(langs or [0] * len(texts), np.uint16))


def make(folder: Path, texts: Sequence[str], langs: Sequence[int] | None = None) -> LexicalIndex:
    write(folder, texts, langs)
    return LexicalIndex.open([folder], [len(texts)], np.bincount(langs or [0] * len(texts)).tolist())


def random_texts(n: int, seed: int = 0) -> list[str]:
    """Texts whose words are as unevenly frequent as those of a language."""
    rng = np.random.default_rng(seed)
    vocabulary = ["".join(word) for word in itertools.product(LETTERS, repeat=3)]
    return [" ".join(vocabulary[i % 512] for i in rng.zipf(1.3, size=rng.integers(0, 40))) for _ in range(n)]


def oracle(texts: Sequence[str], query: str) -> list[float]:
    """Return the scores of rows by the formula, one row and term at a time."""
    rows, asked = [terms(text) for text in texts], set(terms(query))
    average = sum(map(len, rows)) / len(rows)
    idf = {}
    for term in asked:
        n_with = sum(term in row for row in rows)
        idf[term] = math.log(1 + (len(rows) - n_with + 0.5) / (n_with + 0.5))
    whole = sum(idf.values())
    scores = []
    for row in rows:
        norm = 1.2 * (0.25 + 0.75 * len(row) / average)
        scores.append(sum(idf[term] * row.count(term) / (row.count(term) + norm) for term in asked) / whole)
    return scores


def folders(path: Path) -> Iterator[Path]:
    for n in itertools.count():
        yield path / str(n)


def test_a_score_worked_by_hand(tmp_path: Path) -> None:
    query = make(tmp_path, FEW).query("Green, GREEN yellow")
    green, absent = math.log(1 + 2.5 / 2.5), math.log(1 + 4.5 / 0.5)
    in_first = 2 / (2 + 1.2 * (0.25 + 0.75 * 3 / 3))  # twice, in a row of average length
    in_last = 1 / (1 + 1.2 * (0.25 + 0.75 * 7 / 3))
    expected = [green * part / (green + absent) for part in (in_first, 0, 0, in_last)]
    np.testing.assert_allclose(query.all_scores(), expected, atol=0.002)
    assert query.all_scores().dtype == query.scores(np.array([0])).dtype == np.float32


def test_scores_are_those_of_another_implementation(tmp_path: Path) -> None:
    texts = random_texts(300)
    index = make(tmp_path, texts)
    reference = bm25s.BM25(method="lucene", k1=1.2, b=0.75)
    reference.index([terms(text) for text in texts], show_progress=False)
    for query in random_texts(40, seed=1):
        asked = sorted(set(terms(query)))
        frequencies = [sum(term in terms(text) for text in texts) for term in asked]
        whole = sum(math.log(1 + (300 - n + 0.5) / (n + 0.5)) for n in frequencies)
        found = index.query(query).all_scores()
        if asked:
            np.testing.assert_allclose(found, reference.get_scores(asked) / whole, atol=0.5 / 255 + 1e-6)
            np.testing.assert_allclose(found, oracle(texts, query), atol=0.5 / 255 + 1e-6)
        else:
            assert not found.any()


@given(st.lists(WORDS, min_size=1, max_size=12), WORDS)
def test_scores_lie_between_nothing_and_all(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], query: str
) -> None:
    index = make(tmp_path_factory.mktemp("index"), texts)
    asked = index.query(query)
    scores = asked.all_scores()
    assert ((scores >= 0) & (scores <= 1)).all()
    assert (scores > 0).tolist() == [bool(set(terms(text)) & set(terms(query))) for text in texts]
    rows = np.array([len(texts) - 1, 0, 0, len(texts) // 2])
    assert asked.scores(rows).tolist() == scores[rows].tolist()
    order = np.lexsort((np.arange(len(texts)), -scores))
    assert asked.best(5).tolist() == [row for row in order.tolist() if scores[row] > 0][:5]
    assert ((asked.coverage >= 0) & (asked.coverage <= 1)).all()


def test_long_lists_are_left_aside_when_candidates_are_sought(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = ["common " + ("rare " if i in (7, 30) else "") + ("some" if i % 4 == 0 else "") for i in range(40)]
    index = make(tmp_path, texts)
    query = index.query("common some rare")
    assert set(query.best(40).tolist()) == set(range(40))
    for most, expected in ((12, {7, 30, *range(0, 40, 4)}), (11, {7, 30}), (0, set())):
        monkeypatch.setattr(lexical_query, "_MOST_POSTINGS", most)
        assert set(query.best(40).tolist()) == expected
    monkeypatch.setattr(lexical_query, "_MOST_POSTINGS", 4)
    assert len(index.query("common").best(100)) == 40  # the only term may have ten times as many
    monkeypatch.setattr(lexical_query, "_MOST_POSTINGS", 3)
    assert index.query("common").best(100).tolist() == []
    assert (index.query("common").all_scores() > 0).all()


def test_best_keeps_to_rows_that_may_be_found(tmp_path: Path) -> None:
    index = make(tmp_path, ["same words"] * 6 + ["same"])
    among = np.array([False, True, False, True, True, False, True])
    query = index.query("same words")
    assert query.best(3).tolist() == [0, 1, 2]
    assert query.best(3, among).tolist() == [1, 3, 4]
    assert query.best(9, among).tolist() == [1, 3, 4, 6]
    assert query.best(3, np.zeros(7, np.bool_)).tolist() == query.best(0).tolist() == []
    assert query.best(3).dtype == np.int64


def test_coverage_tells_the_language_of_a_query(tmp_path: Path) -> None:
    texts = ["namas yra didelis", "namas yra 2016", "ఇల్లు పెద్దది 2016", "خانه بزرگ است", "the house is", "a house 2016"]
    index = make(tmp_path, texts, [0, 0, 1, 2, 3, 3])
    np.testing.assert_allclose(index.query("namas yra").coverage, [1, 0, 0, 0])
    np.testing.assert_allclose(index.query("house").coverage, [0, 0, 0, 1])
    np.testing.assert_allclose(index.query("۲۰۱۶").coverage, [51 / 52, 1, 0, 51 / 52])
    assert index.query("nothing").coverage.tolist() == [0, 0, 0, 0]
    absent, once = math.log(1 + 6.5 / 0.5), math.log(1 + 5.5 / 1.5)
    np.testing.assert_allclose(index.query("خانه nothing").coverage, [0, 0, once / (once + absent), 0], rtol=1e-6)


def test_a_stray_passage_is_no_language_that_has_a_word(tmp_path: Path) -> None:
    texts = ["house"] * 60 + ["garden"] * 40 + ["house"] + ["namas"] * 99 + ["house"]
    index = make(tmp_path, texts, [0] * 100 + [1] * 100 + [2])
    # In 60 of 100 passages, 1 of 100, 1 of 1; each language is taken to have 50 more without it.
    expected = [1, (1 / 150) / (60 / 150), (1 / 51) / (60 / 150)]
    np.testing.assert_allclose(index.query("house").coverage, expected, rtol=1e-6)


def test_words_of_the_query_are_found_in_a_passage(tmp_path: Path) -> None:
    query = make(tmp_path, FEW).query("vartotojo teisės 2016 東京都")
    text = "Vartotojų teisė; vartotojams — ۲۰۱۶, vartotojų 東京都で"
    assert [text[start:end] for start, end in query.matches(text)] == [
        "Vartotojų",
        "teisė",
        "vartotojams",
        "۲۰۱۶",
        "vartotojų",
        "東京都",
    ]
    assert query.words(text) == ["Vartotojų", "teisė", "vartotojams", "۲۰۱۶", "vartotojų", "東京都"]
    assert query.words("Vartotojai. Vartotojai.") == ["Vartotojai"]
    assert query.words("nothing") == query.words("") == []


@pytest.mark.parametrize("texts", [[], [""], ["…", "!"], FEW])
@pytest.mark.parametrize("asked", ["", " … \ud800", "unheard of", "red"])
def test_nothing_is_found_without_an_error(tmp_path: Path, texts: list[str], asked: str) -> None:
    write(tmp_path, texts)
    query = LexicalIndex.open([tmp_path], [len(texts)], [len(texts)]).query(asked)
    rows = np.arange(len(texts))
    found = texts is FEW and asked == "red"
    assert query.all_scores().shape == query.scores(rows).shape == (len(texts),)
    assert [bool(query.all_scores().any()), bool(query.best(3).size), bool(query.coverage.any())] == [found] * 3
    assert query.scores(rows[:0]).shape == (0,)


def test_files_are_the_same_however_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = random_texts(200)
    langs = [i % 3 for i in range(200)]
    ways = folders(tmp_path)
    write(whole := next(ways), texts, langs)
    write(by_one := next(ways), texts, langs, n_at_once=1)
    monkeypatch.setattr(postings, "BLOCK", 50)
    write(in_blocks := next(ways), texts, langs, n_at_once=7)
    assert sorted(path.name for path in whole.iterdir()) == sorted(LEXICAL_FILES)
    for name in LEXICAL_FILES:
        assert (by_one / name).read_bytes() == (in_blocks / name).read_bytes() == (whole / name).read_bytes()


def test_the_files_hold_what_they_tell(tmp_path: Path) -> None:
    texts = random_texts(100)
    index = make(tmp_path, texts, [i % 2 for i in range(100)])
    known, starts, rows, weights, lang_starts, lang_counts = (index.parts[0].arrays[name] for name in LEXICAL_FILES)
    assert [a.dtype.name for a in (known, starts, rows, weights, lang_starts, lang_counts)] == [
        "uint64",
        "int64",
        "uint32",
        "uint8",
        "int64",
        "uint32",
    ]
    assert len(known) == len({term for text in texts for term in terms(text)})
    assert (np.diff(known) > 0).all()
    assert weights.min() > 0
    for at in range(len(known)):
        of_term = rows[starts[at] : starts[at + 1]]
        assert (np.diff(of_term.astype(np.int64)) > 0).all()
        counted = np.bincount(of_term % 2, minlength=2)
        assert lang_counts[lang_starts[at] : lang_starts[at + 1]].tolist() == [
            [i, n] for i, n in enumerate(counted) if n
        ]


def test_nothing_is_left_of_a_writer_that_was_abandoned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postings, "BLOCK", 2)
    writer = LexicalWriter(tmp_path)
    writer.append(FEW)
    assert list(tmp_path.iterdir())
    writer.abandon()
    writer.abandon()
    assert not list(tmp_path.iterdir())


def test_languages_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    writer = LexicalWriter(tmp_path)
    writer.append(FEW)
    with pytest.raises(ValueError, match="3 languages given for 4 rows"):
        writer.finish(np.zeros(3, np.uint16))
    writer.abandon()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
@pytest.mark.parametrize("name", [*LEXICAL_FILES, "lexical-postings.tmp"])
def test_what_cannot_be_written_is_told(tmp_path: Path, name: str) -> None:
    (tmp_path / name).symlink_to("/dev/full")
    texts = random_texts(2000)
    with pytest.raises(OSError, match="No space left"):
        write(tmp_path, texts)
    assert not (tmp_path / "lexical-postings.tmp").exists()


def ask(folder: Path, n_rows: int) -> None:
    """Open an index and ask it all there is to ask."""
    index = LexicalIndex.open([folder], [n_rows], [n_rows - n_rows // 2, n_rows // 2])
    for text in ("aaa bbb abc", "aab", "aac aad aae"):
        query = index.query(text)
        for scores in (query.coverage, query.scores(np.arange(n_rows)), query.all_scores()):
            assert np.isfinite(scores).all()
        assert set(query.best(5).tolist()) <= set(range(n_rows))


@pytest.mark.parametrize("name", LEXICAL_FILES)
def test_damaged_files_never_end_in_a_crash(tmp_path: Path, name: str) -> None:
    make(tmp_path, random_texts(30), [i % 2 for i in range(30)])
    ask(tmp_path, 30)
    path = tmp_path / name
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    others = [(tmp_path / other).read_bytes() for other in LEXICAL_FILES if other != name]
    flipped = [whole[:at] + bytes([whole[at] ^ 1 << at % 8]) + whole[at + 1 :] for at in range(min(len(whole), 600))]
    wild = [whole[:128] + rng.bytes(len(whole) - 128) for _ in range(20)]
    high = [whole[:128] + b"\xff" * (len(whole) - 128), whole[:128] + bytes(len(whole) - 128)]
    for content in (b"", whole[:5], whole[:100], whole[:-1], whole[:-8], *others):
        path.write_bytes(content)
        with pytest.raises(IndexDamagedError, match=r"Build the index again\.|Run `tongues repair`"):
            ask(tmp_path, 30)
    for content in (whole + b"x", *flipped, *wild, *high):
        path.write_bytes(content)
        try:
            ask(tmp_path, 30)
        except IndexDamagedError as error:
            assert "lexical-" in str(error)  # noqa: PT017
    path.unlink()
    with pytest.raises(IndexDamagedError, match=name):
        ask(tmp_path, 30)


def test_an_index_of_other_rows_is_told(tmp_path: Path) -> None:
    make(tmp_path, ["red"] * 9)
    with pytest.raises(IndexDamagedError, match=r"lexical-starts\.npy"):
        LexicalIndex.open([tmp_path], [5], [5]).query("red")
    make(tmp_path, ["", "", "", "red"])
    with pytest.raises(IndexDamagedError, match=r"lexical-rows\.npy"):
        LexicalIndex.open([tmp_path], [2], [2]).query("red").all_scores()
    make(tmp_path, ["red", "red"], [0, 1])
    with pytest.raises(IndexDamagedError, match=r"lexical-lang"):
        _ = LexicalIndex.open([tmp_path], [2], [2]).query("red").coverage
