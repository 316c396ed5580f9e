"""Where languages stand apart: offsets worked out by hand, vectors without them against NumPy, the parallel text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from index.balance import BalancedVectors, fit_offsets, fitted_from, language_means
from index.encoder import Fingerprint, PromptedEncoder
from index.errors import InputError
from index.language import main_script
from index.parallel import PARALLEL_TEXT, parallel_means, read_parallel
from index.progress import SILENT, Silent
from index.prompts import Prompts
from index.vectors import unit_rows
from tests.toys import ToyEncoder

if TYPE_CHECKING:
    from index.records import Vectors

SCRIPTS = {"en": "LATIN", "te": "TELUGU", "fa": "ARABIC", "lt": "LATIN", "ur": "ARABIC"}
PARALLEL = {"en": np.array([1.0, 0.0]), "fa": np.array([0.0, 1.0]), "lt": np.array([2.0, 2.0])}
"""Its middle is (1, 1)."""


def fit(languages: Sequence[str], counts: Sequence[int], means: Sequence[Sequence[float]]) -> list[list[float]]:
    offsets = fit_offsets(languages, counts, np.array(means, np.float64), PARALLEL)
    assert offsets.dtype == np.float32
    return [[float(value) for value in row] for row in offsets]


def random_rows(n: int, dim: int = 16, seed: int = 0) -> Vectors:
    return unit_rows(np.random.default_rng(seed).normal(size=(n, dim)))


def test_languages_of_the_parallel_text_have_their_offset_there() -> None:
    # What their passages are about, and how many there are, changes nothing.
    assert fit(["en", "fa"], [1, 10**6], [[9, 9], [-3, 4]]) == [[0, -1], [-1, 0]]
    assert fit(["en", "lt"], [5, 5], [[0, 0], [0, 0]]) == [[0, -1], [1, 1]]


@pytest.mark.parametrize("tag", ["fa-IR", "FA", "fa-Arab-AF"])
def test_a_tag_with_a_region_is_its_language(tag: str) -> None:
    assert fit(["en", tag], [3, 3], [[1, 1], [1, 1]]) == [[0, -1], [-1, 0]]


@pytest.mark.parametrize("languages", [["en"], ["xx"], ["und"], ["fa", "und"], ["und", "xx"]])
def test_one_language_stands_apart_from_nothing(languages: list[str]) -> None:
    n = len(languages)
    assert fit(languages, [50] * n, [[3, 1]] * n) == [[0, 0]] * n


def test_what_is_of_no_known_language_has_no_offset_and_gives_none() -> None:
    with_und = fit(["en", "lt", "und", "xx"], [9, 9, 9, 50], [[1, 2], [5, 3], [100, 100], [3, 4]])
    without = fit(["en", "lt", "xx"], [9, 9, 50], [[1, 2], [5, 3], [3, 4]])
    assert with_und == [*without[:2], [0, 0], without[2]]


@pytest.mark.parametrize(("n", "part"), [(50, 1 / 4), (150, 3 / 8), (1, 1 / 102), (10**9, 1 / 2)])
def test_another_language_has_a_part_of_what_its_passages_differ_by(n: int, part: float) -> None:
    # en without its offset is (1, 3), lt (3, 1), so their middle (2, 2): xx is (2, -4) away from it.
    en, lt, xx = fit(["en", "lt", "xx"], [7, 70, n], [[1, 2], [4, 2], [4, -2]])
    assert (en, lt) == ([0, -1], [1, 1])
    assert xx == pytest.approx([2 * part, -4 * part], abs=1e-6)


def test_two_languages_beside_one_of_the_parallel_text_are_measured_by_that_one() -> None:
    en, xx, yy = fit(["en", "xx", "yy"], [9, 50, 50], [[1, 1], [3, 2], [-8, 2]])
    assert (en, xx, yy) == ([0, -1], [0.5, 0], [-2.25, 0])


def test_languages_that_are_all_unknown_are_measured_by_each_other() -> None:
    assert fit(["xx", "yy"], [50, 150], [[4, 0], [0, 8]]) == [[1, -2], [-1.5, 3]]
    first, *others = fit(["xx", "yy", "zz"], [50, 50, 50], [[4, 0], [0, 4], [0, 0]])
    assert first == [1, -0.5]
    assert others == [[-0.5, 1], [-0.5, -0.5]]


def test_without_a_parallel_text_all_languages_are_measured_by_each_other() -> None:
    offsets = fit_offsets(["en", "lt"], [50, 50], np.array([[4.0, 0], [0, 4]]), {})
    assert offsets.tolist() == [[1, -1], [-1, 1]]


@pytest.mark.parametrize("block", [1, 7, 100, 1000])
def test_means_of_languages(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("index.balance._BLOCK", block)
    vectors = random_rows(100)
    codes = np.random.default_rng(1).integers(0, 4, 100).astype(np.uint16)
    codes[codes == 2] = 3
    codes[99] = 2  # one passage alone, in the last block
    expected = [vectors[codes == code].mean(axis=0, dtype=np.float64) for code in range(4)]
    np.testing.assert_allclose(language_means(vectors, codes, 4), expected, atol=1e-12)


@given(st.integers(0, 40), st.integers(1, 4), st.sampled_from([0.0, 0.3, 0.7, 1.0]), st.integers(0, 3))
def test_vectors_without_offsets_are_what_numpy_gives(n: int, n_langs: int, strength: float, seed: int) -> None:
    vectors, offsets = random_rows(n), 0.8 * random_rows(n_langs, seed=seed + 9)
    codes = np.random.default_rng(seed).integers(0, n_langs, n).astype(np.uint16)
    expected = vectors.astype(np.float64) - strength * offsets[codes].astype(np.float64)
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    balanced = BalancedVectors(vectors, codes, offsets, strength)
    assert (len(balanced), balanced.shape) == (n, (n, 16))
    picked = np.random.default_rng(seed).integers(0, max(1, n), 5 if n else 0)
    for asked in (slice(None), slice(3, 9), slice(n, n), slice(0, n + 99), picked, codes == 0):
        found = balanced[asked]
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected[asked], atol=1e-6)


def test_strength_0_gives_the_vectors_themselves() -> None:
    vectors = random_rows(9)
    unchanged = BalancedVectors(vectors, np.zeros(9, np.uint16), random_rows(1, seed=1), 0.0)
    np.testing.assert_allclose(unchanged[:], vectors, atol=1e-7)


def test_a_vector_of_which_nothing_is_left_is_no_nan() -> None:
    vectors = random_rows(3)
    left = BalancedVectors(vectors, np.array([0, 1, 0], np.uint16), vectors[:2].copy(), 1.0)[:]
    assert np.isfinite(left).all()
    assert np.abs(left[:2]).max() < 1e-6
    assert np.linalg.norm(left[2]) == pytest.approx(1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -3e38])
def test_damaged_offsets_and_languages_raise_no_warning(value: float) -> None:
    offsets = np.full((2, 16), value, np.float32)
    assert BalancedVectors(random_rows(3), np.array([0, 1, 65535], np.uint16), offsets, 0.7)[:].shape == (3, 16)


class Real(PromptedEncoder):
    """Stands for a model of files: its vectors are random, and the same for every instance."""

    def __init__(self, weights_hash: str = "real", passage_prompt: str = "") -> None:
        fingerprint = Fingerprint("real", weights_hash, passage_prompt=passage_prompt, max_tokens=64, dim=8)
        super().__init__(Prompts("", passage_prompt, "none"), fingerprint)
        self.n_encoded = 0

    def _vectors(self, texts: Sequence[str], progress: Any) -> NDArray[np.float64]:
        self.n_encoded += len(texts)
        progress.advance(len(texts))
        return np.array([np.random.default_rng(len(text)).normal(size=8) for text in texts])

    def _n_tokens(self, texts: Sequence[str], *, special: bool) -> list[int]:
        return [len(text.split()) for text in texts]


@pytest.fixture
def own_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TONGUES_HOME", str(tmp_path))
    return tmp_path


def same(some: Mapping[str, NDArray[Any]], others: Mapping[str, NDArray[Any]]) -> bool:
    return list(some) == list(others) and all(np.array_equal(some[lang], others[lang]) for lang in some)


def test_the_parallel_text_is_encoded_once_for_a_model(own_home: Path) -> None:
    first, again = Real(), Real()
    means = parallel_means(first, SILENT)
    assert (first.n_encoded, list(means)) == (5 * 192, list(SCRIPTS))
    lines = [json.loads(line) for line in PARALLEL_TEXT.read_text("utf-8").splitlines()]
    for lang, mean in means.items():
        rows = unit_rows(Real()._vectors([line[lang] for line in lines], SILENT))
        np.testing.assert_allclose(mean, rows.mean(axis=0), atol=1e-6)
    assert same(parallel_means(again, SILENT), means)
    assert again.n_encoded == 0
    (folder,) = (path for path in (own_home / "languages-apart").iterdir() if path.is_dir())
    kept = (folder / "means.npy").read_bytes()
    for damaged in (b"cut short", kept[:-8] + b"\xff" * 8, b"\0" * len(kept)):
        (folder / "means.npy").write_bytes(damaged)
        assert same(parallel_means(Real(), SILENT), means)  # computed anew, and what is damaged cleared away
        assert not folder.exists() or (folder / "means.npy").read_bytes() == kept
        assert same(parallel_means(Real(), SILENT), means)


@pytest.mark.parametrize("other", [Real("other weights"), Real(passage_prompt="passage: ")])
@pytest.mark.usefixtures("own_home")
def test_another_model_or_prompt_encodes_it_again(other: Real) -> None:
    parallel_means(Real(), SILENT)
    other.n_encoded = 0
    parallel_means(other, SILENT)
    assert other.n_encoded == 5 * 192


def test_a_home_that_cannot_be_written_loses_no_build(own_home: Path) -> None:
    (own_home / "languages-apart").write_text("in the way")
    assert list(parallel_means(Real(), SILENT)) == list(SCRIPTS)


@pytest.mark.usefixtures("own_home")
def test_a_parallel_text_of_ones_own(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text('{"lt-LT": "Labas.", "DE": "Guten Tag, wie geht es?"}\n\n{"de": "Ja", "LT": "Taip"}\n', "utf-8")
    assert read_parallel(path) == [
        {"lt": "Labas.", "de": "Guten Tag, wie geht es?"},
        {"de": "Ja", "lt": "Taip"},
    ]
    encoder = Real()
    project = parallel_means(encoder, SILENT)
    n_before = encoder.n_encoded
    means = parallel_means(encoder, SILENT, path)
    assert (list(means), encoder.n_encoded - n_before) == (["en", "te", "fa", "lt", "ur", "de"], 4)
    own = [
        unit_rows(Real()._vectors(texts, SILENT)).mean(axis=0)
        for texts in (["Labas.", "Taip"], ["Guten Tag, wie geht es?", "Ja"])
    ]
    for lang in project:  # Lithuanian, which both have, ties German to the others
        np.testing.assert_allclose(means[lang], project[lang], atol=1e-6)
    np.testing.assert_allclose(means["de"] - means["lt"], own[1] - own[0], atol=1e-6)
    assert same(parallel_means(encoder, SILENT, path), means)
    assert encoder.n_encoded - n_before == 4
    path.write_text('{"lt": "Labas.", "de": "Guten Morgen!"}', "utf-8")
    assert not same(parallel_means(encoder, SILENT, path), means)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "is empty. Give one object a line"),
        ("\n \n", "is empty"),
        ("{", ":1: is not JSON"),
        ("[" * 100_000, ":1: is not JSON"),
        ('["a", "b"]', ":1: is no object of texts"),
        ('{"en": "a", "lt": 3}', ":1: is no object of texts"),
        ('{"en": "a", "lt": " "}', ":1: is no object of texts"),
        ('{"en": "a"}', ":1: has en. Give each line in the same languages"),
        ('{"en": "a", "en-GB": "b"}', ":1: has en, en-GB. Give each line in the same languages (en), two at least"),
        (
            '{"en": "a", "lt": "b"}\n{"en": "a", "fa": "b"}',
            ":2: has en, fa. Give each line in the same languages (en, lt)",
        ),
        ('{"en": "a", "lt": "b"}\n\n{"en": "a", "lt": "b", "fa": "c"}', ":3: has en, lt, fa."),
    ],
)
def test_a_parallel_text_that_cannot_be_used(text: str, problem: str, tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_text(text, "utf-8")
    with pytest.raises(InputError) as told:
        read_parallel(path)
    assert f"{path}{problem}" in str(told.value) or f"{path}: {problem}" in str(told.value)
    with pytest.raises(InputError):
        read_parallel(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("languages", "expected"),
    [
        (["en", "fa-IR", "xx", "und"], ["parallel text", "parallel text", "passages", "nothing"]),
        (["en"], ["nothing"]),
        (["en", "und"], ["nothing", "nothing"]),
        (["xx", "yy"], ["passages", "passages"]),
    ],
)
def test_what_offsets_are_fitted_from_is_told(languages: list[str], expected: list[str]) -> None:
    assert fitted_from(languages, PARALLEL) == dict(zip(languages, expected, strict=True))
    offsets = fit(languages, [9] * len(languages), [[i, 3 - 7 * i] for i in range(len(languages))])
    assert [any(offset) for offset in offsets] == [one != "nothing" for one in expected]


def test_a_custom_encoder_is_asked_every_time_and_nothing_kept(own_home: Path, toy: ToyEncoder) -> None:
    means = parallel_means(toy, SILENT)
    assert len(toy.encoded) == 5 * 192
    assert same(parallel_means(toy, SILENT), means)
    assert len(toy.encoded) == 10 * 192
    assert list(own_home.iterdir()) == []


@pytest.mark.usefixtures("own_home")
def test_progress_is_told_and_ended() -> None:
    said: list[object] = []

    class Told(Silent):
        def start(self, what: str, total: int, unit: str) -> None:
            said.append((what, total, unit))

        def advance(self, n: int) -> None:
            said.append(n)

        def end(self) -> None:
            said.append("end")

    parallel_means(Real(), Told())
    assert said == [("comparing languages", 960, "text"), *[192] * 5, "end"]


def test_the_parallel_text_says_the_same_in_five_languages() -> None:
    lines = [json.loads(line) for line in PARALLEL_TEXT.read_text("utf-8").splitlines()]
    assert len(lines) == 192
    for lang, script in SCRIPTS.items():
        texts = [line[lang] for line in lines]
        assert len(set(texts)) == 192
        assert {main_script(text) for text in texts} == {script}
        assert all(text == text.strip() and 25 <= len(text) <= 400 for text in texts)
    assert all(list(line) == list(SCRIPTS) for line in lines)
    # Letters that show which of two languages in one script it is.
    assert sum(any(letter in "ąčęėįšųūž" for letter in line["lt"].lower()) for line in lines) > 180
    assert sum(any(letter in "ٹڈڑںےہھ" for letter in line["ur"]) for line in lines) == 192
    assert not any(letter in "ٹڈڑںہھ" for line in lines for letter in line["fa"])
