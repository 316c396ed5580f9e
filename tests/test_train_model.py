"""Training: a tiny model really learns, an interrupted run ends as if it had not been, and the delta is exact."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from safetensors.numpy import load_file

from index import ModelSettings, open_encoder
from index.errors import ModelError, SettingsError
from index.learned_delta import LowRank, read_delta, write_delta
from scripts import train_model, training_lessons
from scripts.training_recipe import Recipe
from tests.toys import make_tiny_model

WORDS = ("aaa bbb ccc ddd eee fff", "ggg hhh iii jjj kkk lll", "లలల రరర తతత పపప గగగ దదద")
"""A word says the same as those in its place; no letter says two things, as the tiny model has but one layer."""
RECIPE = ("steps=200", "couples=6", "rate=0.01", "rank=16", "contrast=10")


@pytest.fixture(scope="module", autouse=True)
def _threads() -> Iterator[None]:
    """Training here sets the threads of the whole process."""
    import torch

    n = torch.get_num_threads()
    yield
    torch.set_num_threads(n)


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prompts = {"query": "query: ", "passage": "passage: "}
    return make_tiny_model(tmp_path_factory.mktemp("base") / "tiny", prompts=prompts)


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve sentences that say the same in three languages of one word each, and six questions with answers."""
    folder = tmp_path_factory.mktemp("text")
    words = [dict(zip(("en", "lt", "te"), row, strict=True)) for row in zip(*(w.split() for w in WORDS), strict=True)]
    lines = [*words, *({lang: f"{word} {word}" for lang, word in texts.items()} for texts in words)]
    pairs = [
        {
            "question": {lang: f"{word}?" for lang, word in one.items()},
            "answer": {lang: f"{word} {word} {word}" for lang, word in one.items()},
            "near": [{lang: f"{word} x" for lang, word in one.items()}],
        }
        for one in words
    ]
    content = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in [*lines, *pairs])
    (folder / "words.jsonl").write_text(content, "utf-8")
    return folder


def train(base: Path, text: Path, out: Path, *more: str) -> Result:
    args = [
        str(text),
        "--base",
        str(base),
        "--threads",
        "1",
        "--work",
        str(out / "work"),
        "--delta",
        str(out / "delta.safetensors"),
    ]
    args += [
        "--strength",
        "1",
        "--model-out",
        str(out / "model"),
        *(part for number in RECIPE for part in ("--set", number)),
        *more,
    ]
    return CliRunner().invoke(train_model.main, args, catch_exceptions=False)


def agreement(model: Path) -> float:
    """Return how much closer translations are to each other than to other words, in cosine."""
    encoder = open_encoder(ModelSettings(str(model), backend="torch"))
    one, other = (encoder.encode_passages(words.split()) for words in (WORDS[0], WORDS[2]))
    cosines = one @ other.T
    return float(np.diag(cosines).mean() - cosines[~np.eye(len(cosines), dtype=bool)].mean())


@pytest.fixture(scope="module")
def trained(base: Path, text: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained")
    assert train(base, text, out).exit_code == 0
    return out


def test_translations_come_together(base: Path, trained: Path) -> None:
    before, after = agreement(base), agreement(trained / "model")
    assert before < 0.1
    assert after > before + 0.15


def test_the_delta_is_the_difference_of_the_weights(base: Path, trained: Path) -> None:
    before, after = (load_file(folder / "model.safetensors") for folder in (base, trained / "model"))
    sha256 = hashlib.sha256((trained / "delta.safetensors").read_bytes()).hexdigest()
    delta = read_delta(trained / "delta.safetensors", sha256)
    changed = {name for name in before if not np.array_equal(before[name], after[name])}
    assert changed == set(delta)
    assert len(changed) == 6  # of the one layer; no token vectors
    for name, low in delta.items():
        np.testing.assert_allclose(before[name] + low.matrix(), after[name], atol=1e-6)


def test_an_interrupted_run_goes_on(base: Path, text: Path, trained: Path, tmp_path: Path) -> None:
    steps = 0

    def stops(*args: object) -> object:
        nonlocal steps
        steps += 1
        if steps == 33:
            raise KeyboardInterrupt
        return drawn(*args)  # type: ignore[arg-type]

    drawn = training_lessons.Lessons.next
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(training_lessons.Lessons, "next", stops)
        assert train(base, text, tmp_path).exit_code == 1
    result = train(base, text, tmp_path)
    assert "goes on after step 25" in result.stderr
    one, other = (path / "delta.safetensors" for path in (trained, tmp_path))
    assert one.read_bytes() == other.read_bytes()


def test_a_part_of_what_was_learned(base: Path, text: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "work", tmp_path / "work")
    train(base, text, tmp_path, "--strength", "0")
    assert agreement(tmp_path / "model") == pytest.approx(agreement(base), abs=1e-6)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ((), "name what to write"),
        (("--delta", "none/x.safetensors"), "there is no folder none"),
        (("--model-out", "."), "is there and not empty"),
        (("--set", "stepz=3"), "there is no 'stepz'; there are steps, couples"),
        (("--set", "steps=x"), "'x' is no int"),
    ],
)
def test_what_cannot_work_is_said_before_the_work(text: Path, args: tuple[str, ...], said: str) -> None:
    result = CliRunner().invoke(train_model.main, [str(text), *args])
    assert result.exit_code == 2
    assert said in " ".join(result.stderr.split())


def test_numbers_out_of_range() -> None:
    with pytest.raises(SettingsError, match="temperature is 0"):
        Recipe(temperature=0)
    with pytest.raises(SettingsError, match="short is 2"):
        Recipe(short=2)


def test_passages_alone_can_be_learned_from(base: Path, tmp_path: Path) -> None:
    lines = [{"en": f"{letter} {letter * 3} " * 60, "lt": f"{letter.upper()} " * 200} for letter in "abcdef"]
    (tmp_path / "long.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    assert train(base, tmp_path / "long.jsonl", tmp_path, "--set", "steps=2").exit_code == 0


def test_vectors_of_two_bases_are_kept_apart(base: Path, text: Path, trained: Path, tmp_path: Path) -> None:
    shutil.copytree(trained / "work", tmp_path / "work")
    assert train(trained / "model", text, tmp_path, "--set", "steps=1").exit_code == 0
    assert len(list((tmp_path / "work").glob("base-vectors-*.npz"))) == 2


def test_int8_keeps_the_largest_directions() -> None:
    chooser = np.random.default_rng(3)
    matrix = chooser.normal(size=(40, 4)) @ chooser.normal(size=(4, 30))
    low = LowRank.of(matrix, 4)
    assert [part.dtype for part in (low.up, low.scale, low.down)] == [np.int8, np.float32, np.int8]
    assert np.linalg.norm(low.matrix() - matrix) < 0.015 * np.linalg.norm(matrix)
    two = LowRank.of(matrix, 2).matrix()
    left, sizes, right = np.linalg.svd(matrix)
    best = (left[:, :2] * sizes[:2]) @ right[:2]
    assert np.linalg.norm(two - best) < 0.02 * np.linalg.norm(best)
    assert not LowRank.of(np.zeros((5, 6)), 2).matrix().any()


def test_another_file_than_expected_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "delta.safetensors"
    sha256 = write_delta(path, {"a.weight": LowRank.of(np.eye(3), 1)}, {"licence": "MIT"})
    assert list(read_delta(path, sha256)) == ["a.weight"]
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    with pytest.raises(ModelError, match=r"delta\.safetensors: not the expected file"):
        read_delta(path, sha256)
    with pytest.raises(ModelError, match="cannot be read"):
        read_delta(tmp_path / "none", sha256)
