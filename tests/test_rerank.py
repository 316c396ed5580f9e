"""Reranking: scores as sentence-transformers' own, models that cannot serve, and the order of the hits."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from index.errors import ModelError
from search.hits import Hit
from search.rerank import Reranker, rerank
from tests.tiny_models import MAX_TOKENS, make_cross_encoder

QUERY = "kur rasti duonos"
TEXTS = ["Duona kepama kasdien.", "نان تازه می‌فروشد.", "బేకరీ రొట్టె", "word " * 200, "x"]


@pytest.fixture(scope="module")
def folder(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_cross_encoder(tmp_path_factory.mktemp("models") / "pairs", parts_of(tiny_model))


@pytest.fixture(scope="module")
def reranker(folder: Path) -> Reranker:
    return Reranker.open(str(folder))


def parts_of(tiny_model: Path) -> Path:
    return tiny_model.with_name(tiny_model.name + "-parts")


def own_scores(folder: Path, texts: Sequence[str]) -> list[float]:
    from sentence_transformers import CrossEncoder

    model: Any = CrossEncoder(str(folder), device="cpu", local_files_only=True)
    return [float(one) for one in model.predict([(QUERY, text) for text in texts], show_progress_bar=False)]


def test_scores_are_those_of_the_library(reranker: Reranker, folder: Path) -> None:
    scores = reranker.scores(QUERY, TEXTS)
    assert scores == pytest.approx(own_scores(folder, TEXTS), abs=1e-6)
    assert all(type(score) is float and 0 < score < 1 for score in scores)  # a sigmoid, the model's own activation
    assert len({round(score, 4) for score in scores}) == len(TEXTS)
    assert reranker.name == str(folder.resolve())


def test_texts_are_scored_one_by_one(reranker: Reranker) -> None:
    alone = [reranker.scores(QUERY, [text])[0] for text in TEXTS]
    assert reranker.scores(QUERY, TEXTS) == pytest.approx(alone, abs=1e-6)
    assert reranker.scores(QUERY, []) == []


def test_no_more_is_read_than_the_model_can(reranker: Reranker) -> None:
    long = "kasdien " * MAX_TOKENS
    assert reranker.scores(QUERY, [long]) == reranker.scores(QUERY, [long + "pabaiga"])
    assert len(reranker.scores(long, [long])) == 1


def test_the_copy_a_model_reads(reranker: Reranker) -> None:
    assert reranker.scores(QUERY, ["nan\u0303 \u2067x\u2069"]) == reranker.scores(QUERY, ["na\u00f1 x"])
    assert len(reranker.scores("\ud800", ["\ud800", "\0"])) == 2


def test_a_model_of_an_older_library(reranker: Reranker, folder: Path, tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        shutil.copy(folder / name, plain)
    assert Reranker.open(str(plain)).scores(QUERY, TEXTS) == pytest.approx(reranker.scores(QUERY, TEXTS), abs=1e-6)


def test_models_that_cannot_rerank(tiny_model: Path, tmp_path: Path) -> None:
    parts = parts_of(tiny_model)
    remedy = r" Name a cross-encoder that gives one score for a pair: its hub id, or its folder\.$"
    for name in (str(tiny_model), str(parts)):
        with pytest.raises(ModelError, match=rf"^{name}: is no cross-encoder\.{remedy}"):
            Reranker.open(name)
    with pytest.raises(ModelError, match=rf"^e5-small: makes vectors and is no cross-encoder\.{remedy}"):
        Reranker.open("e5-small")
    three = make_cross_encoder(tmp_path / "three", parts, n_labels=3)
    with pytest.raises(ModelError, match=rf"three: gives 3 scores for a pair\.{remedy}"):
        Reranker.open(str(three))


@pytest.mark.parametrize("content", ["[]", "{", '{"architectures": null}'])
def test_a_configuration_that_says_nothing(content: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(content)
    (tmp_path / "model.safetensors").write_bytes(b"")
    with pytest.raises(ModelError, match="is no cross-encoder"):
        Reranker.open(str(tmp_path))


def test_models_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no such folder\. Name a cross-encoder"):
        Reranker.open(str(tmp_path / "none"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"empty: not a model: it needs config\.json"):
        Reranker.open(str(tmp_path / "empty"))
    with pytest.raises(ModelError, match="the hub cannot be reached"):
        Reranker.open("cross-encoder/there-is-no-such-model")


def test_damaged_models(folder: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(folder, tmp_path / "broken")
    (broken / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(ModelError, match=r"broken: cannot be loaded as a cross-encoder \(.*\)\. Check its files in "):
        Reranker.open(str(broken))


def test_code_beside_a_model_is_not_run(folder: Path, tmp_path: Path) -> None:
    coded = shutil.copytree(folder, tmp_path / "coded")
    (coded / "own.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Own:\n    pass\n")
    config = json.loads((coded / "config.json").read_text())
    config |= {"model_type": "own", "auto_map": {"AutoConfig": "own.Own"}}
    (coded / "config.json").write_text(json.dumps(config))
    with pytest.raises(ModelError, match=r"needs code of its own, which is not run|cannot be loaded"):
        Reranker.open(str(coded))
    assert not (tmp_path / "ran").exists()


def test_scores_that_are_no_numbers(folder: Path, tmp_path: Path) -> None:
    from safetensors.numpy import load_file, save_file

    damaged = shutil.copytree(folder, tmp_path / "damaged")
    weights = load_file(damaged / "model.safetensors")
    weights["classifier.bias"] = weights["classifier.bias"] * float("nan")
    save_file(weights, damaged / "model.safetensors", {"format": "pt"})
    with pytest.raises(ModelError, match=r"damaged: gives scores that are no numbers\."):
        Reranker.open(str(damaged)).scores(QUERY, TEXTS)


class Toy:
    """Scores a text by the number it ends with."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def scores(self, query: str, texts: Sequence[str]) -> list[float]:
        self.read += [query, *texts]
        return [float(text.split()[-1]) for text in texts]


def hit(doc_id: str, text: str, lang: str = "lt", title: str = "", rank: int = 1) -> Hit:
    return Hit(
        query="q",
        rank=rank,
        score=0.5,
        lang=lang,
        source="s",
        doc_id=doc_id,
        title=title,
        passage_id=doc_id,
        start=0,
        end=len(text),
        text=text,
    )


def shown(hits: Sequence[Hit]) -> list[tuple[str, int, float]]:
    return [(one.doc_id, one.rank, one.score) for one in hits]


def test_hits_in_a_new_order() -> None:
    hits = [hit("a", "x 1"), hit("b", "x 3"), hit("c", "x 2"), hit("d", "x 3")]
    assert shown(rerank(hits, Toy(), 10)) == [("b", 1, 3), ("d", 2, 3), ("c", 3, 2), ("a", 4, 1)]
    assert shown(rerank(hits, Toy(), 2)) == [("b", 1, 3), ("d", 2, 3)]
    assert shown(hits)[0] == ("a", 1, 0.5)  # those given are as they were
    assert rerank([], Toy(), 3) == []


def test_hits_by_language() -> None:
    hits = [hit("a", "x 1"), hit("b", "x 4"), hit("c", "x 2"), hit("d", "x 5", "fa"), hit("e", "x 5", "te")]
    ordered = rerank(hits, Toy(), 2, grouped=True)
    assert shown(ordered) == [("d", 1, 5), ("e", 1, 5), ("b", 1, 4), ("c", 2, 2)]
    assert [one.lang for one in ordered] == ["fa", "te", "lt", "lt"]


def test_a_title_is_read_before_the_text() -> None:
    toy = Toy()
    rerank([hit("a", "text 1", title="Title"), hit("b", "Title 2", title="Title"), hit("c", "text 3")], toy, 3)
    assert toy.read == ["q", "Title\ntext 1", "Title 2", "text 3"]


def test_no_more_than_fifty_are_read() -> None:
    hits = [hit(f"d{i}", f"x {i}", rank=i) for i in range(1, 61)]
    toy = Toy()
    ordered = rerank(hits, toy, 60)
    assert len(toy.read) == 1 + 50
    assert [one.doc_id for one in ordered[:50]] == [f"d{i}" for i in range(50, 0, -1)]
    assert shown(ordered[50:]) == [(f"d{i}", i, 1) for i in range(51, 61)]  # in their order, no score above the lowest


def test_languages_share_the_fifty() -> None:
    hits = [hit(f"{lang}{i}", f"x {i}", lang, rank=i) for lang in ("fa", "lt", "te") for i in range(1, 21)]
    toy = Toy()
    ordered = rerank(hits, toy, 20, grouped=True)
    assert len(toy.read) == 1 + 3 * 16
    assert [one.doc_id for one in ordered[:20]] == [f"fa{i}" for i in (*range(16, 0, -1), *range(17, 21))]
