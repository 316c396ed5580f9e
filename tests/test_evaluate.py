"""From a set's folder to its measures: the index that is kept, the documents of the hits, the run."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Sequence
from pathlib import Path

import pytest

from index.builder import build
from index.config import BuildSettings, ChunkSettings, ModelSettings
from index.errors import InputError
from index.store import Store
from search.eval_report import EvalReport, score_run
from search.eval_set import EvalSet
from search.evaluate import Evaluation, check_index, evaluate, kept_index
from search.rank_settings import RankSettings, Weights
from search.rerank import Scorer
from search.searcher import Searcher
from search.trec import write_run
from tests.eval_sets import read_run, write_set
from tests.toys import ToyEncoder

PLAIN = RankSettings("dense", "off")
CORPUS = [
    {"_id": "d1", "text": "red apple", "lang": "lt"},
    {"_id": "d2", "text": "green apple", "lang": "fa"},
    {"_id": "d3", "text": "blue plum", "lang": "lt"},
    {"_id": "d4", "text": "పుస్తకం ఎక్కడ ఉంది"},
    {"_id": "d5", "text": "blue plum", "lang": "lt"},
]
QUERIES = [
    {"_id": "q1", "text": "red apple", "lang": "lt"},
    {"_id": "q2", "text": "apple plum plum", "lang": "lt"},
    {"_id": "d2", "text": "green apple", "lang": "fa"},
    {"_id": "q4", "text": "పుస్తకం ఎక్కడ ఉంది"},
    {"_id": "q5", "text": "green"},
]
QRELS = {"q1": {"d1": 2, "d2": 1}, "q2": {"d5": 1, "d2": 1}, "d2": {"d1": 1}, "q4": {"d4": 1}}


class Counting(ToyEncoder):
    """Remembers how many queries it was asked together."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[int] = []

    def encode_queries(self, texts: Sequence[str]) -> object:  # type: ignore[override]
        self.asked.append(len(texts))
        return super().encode_queries(texts)


def write_fruit(folder: Path) -> EvalSet:
    return write_set(folder, CORPUS, QUERIES, QRELS)


def measure(
    eval_set: EvalSet,
    *,
    encoder: ToyEncoder | None = None,
    settings: RankSettings = PLAIN,
    reranker: Scorer | None = None,
    max_tokens: int = 32,
) -> Evaluation:
    encoder = encoder or ToyEncoder()
    out = eval_set.corpus.with_name("index")
    build([eval_set.corpus], out, settings=BuildSettings(chunking=ChunkSettings(max_tokens, 0)), encoder=encoder)
    with Searcher.open(out, encoder=encoder, reranker=reranker) as searcher:
        return evaluate(eval_set, searcher, out, settings=settings, rerank="toy" if reranker else None)


def ids(evaluation: Evaluation, query_id: str) -> list[str]:
    return [doc for doc, _ in evaluation.run[query_id]]


@pytest.fixture(scope="module")
def fruit(tmp_path_factory: pytest.TempPathFactory) -> Evaluation:
    return measure(write_fruit(tmp_path_factory.mktemp("sets") / "fruit"))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("search.evaluate.home", lambda: tmp_path / "home")
    return tmp_path / "home"


def test_measures_worked_out_by_hand(fruit: Evaluation) -> None:
    report = fruit.report
    assert report.set_name == "fruit"
    assert list(report.per_query) == ["q1", "q2", "d2", "q4"]
    assert {query_id: scores.lang for query_id, scores in report.per_query.items()} == {
        "q1": "lt",
        "q2": "lt",
        "d2": "fa",
        "q4": "te",  # not declared: detected
    }
    # q2: d3 and d5 are one passage and come first, then d1 and d2: relevant at the ranks 2 and 4.
    assert ids(fruit, "q2")[:4] == ["d3", "d5", "d1", "d2"]
    gain = (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3))
    assert report.per_query["q2"].measures == pytest.approx(
        {"ndcg@10": gain, "recall@10": 1, "mrr@10": 1 / 2, "map@100": (1 / 2 + 2 / 4) / 2}
        | {"success@1": 0, "success@3": 1, "success@10": 1}
    )
    assert all(report.per_query[one].measures["ndcg@10"] == pytest.approx(1) for one in ("q1", "d2", "q4"))
    assert report.per_language["lt"].measures["ndcg@10"] == pytest.approx((1 + gain) / 2)
    assert report.mean.measures["ndcg@10"] == pytest.approx(((1 + gain) / 2 + 2) / 3)
    assert report.mean.measures["map@100"] == pytest.approx((3 / 4 + 2) / 3)


def test_languages_of_documents(fruit: Evaluation) -> None:
    assert list(fruit.report.mean.language_share) == ["fa", "lt", "te"]  # d4 declares none: its passage's
    assert fruit.report.per_language["te"].language_share == pytest.approx({"fa": 1 / 5, "lt": 3 / 5, "te": 1 / 5})
    assert fruit.report.per_language["fa"].language_share == pytest.approx({"fa": 0, "lt": 3 / 4, "te": 1 / 4})
    assert fruit.report.unknown_documents == 0


def test_the_document_a_query_was_made_of_is_left_out(fruit: Evaluation) -> None:
    assert ids(fruit, "d2")[0] == "d1"
    assert "d2" not in ids(fruit, "d2")
    assert "d2" in ids(fruit, "q1")


def test_documents_of_one_passage_share_its_score(fruit: Evaluation) -> None:
    found = dict(fruit.run["q2"])
    assert found["d3"] == found["d5"] == pytest.approx(2 / 10**0.5, abs=1e-6)
    assert found["d1"] == found["d2"] == pytest.approx(1 / 10**0.5, abs=1e-6)
    assert len(found) == 5


def test_what_the_report_says_of_how_it_was_made(fruit: Evaluation) -> None:
    facts = dict(fruit.report.settings)
    assert facts.pop("seconds") >= 0
    assert facts.pop("version")
    chunking = facts.pop("chunking")
    assert (chunking["max_tokens"], chunking["overlap_sentences"]) == (32, 0)
    assert facts.pop("weights") == dataclasses.asdict(Weights())
    assert facts == {
        "model": "toy",
        "precision": "fp32",
        "mode": "dense",
        "balance": "off",
        "rerank": None,
        "documents": 5,
        "passages": 4,
        "sentences": 0,
        "rejected": 0,
    }
    assert json.loads(json.dumps(fruit.report.to_dict()))["settings"]["documents"] == 5


def test_a_run_written_and_read_scores_the_same(fruit: Evaluation, tmp_path: Path) -> None:
    eval_set = write_fruit(tmp_path / "fruit")
    write_run(tmp_path / "a.trec", fruit.run)
    again = read_run(tmp_path / "a.trec")
    assert again == {query_id: list(found) for query_id, found in fruit.run.items()}
    langs = {"d1": "lt", "d2": "fa", "d3": "lt", "d4": "te", "d5": "lt"}
    queries = [query._replace(lang=query.lang or "te") for query in eval_set.queries]

    def plain(report: EvalReport) -> dict[str, object]:
        return {name: value for name, value in report.to_dict().items() if name not in ("set", "settings")}

    assert plain(score_run(queries, eval_set.qrels, again, langs)) == plain(fruit.report)


def test_the_layout_of_beir(fruit: Evaluation, tmp_path: Path) -> None:
    eval_set = write_set(tmp_path / "beir", CORPUS, QUERIES, QRELS, qrels_name="qrels/test.tsv")
    assert measure(eval_set).report.per_query == fruit.report.per_query


def test_a_document_stands_where_its_best_passage_does(tmp_path: Path) -> None:
    corpus = [
        {"_id": "far", "text": "apple " + "pear " * 15 + ". " + "apple apple. " + "quince " * 16, "lang": "lt"},
        {"_id": "near", "text": "apple apple apple pear", "lang": "lt"},
    ]
    queries = [{"_id": "q", "text": "apple", "lang": "lt"}]
    found = measure(write_set(tmp_path / "s", corpus, queries, {"q": {"far": 1}}), max_tokens=16)
    assert found.report.settings["passages"] > 2
    assert ids(found, "q") == ["near", "far"]
    assert found.run["q"][0][1] == pytest.approx(3 / 10**0.5, abs=1e-6)


def test_more_passages_are_asked_for_until_there_are_documents_enough(tmp_path: Path) -> None:
    # The passages found first are all of one document.
    sentences = (f"Apple apple apple {' '.join(['pear'] * 10)} x{i}." for i in range(400))
    corpus = [{"_id": "long", "text": " ".join(sentences), "lang": "en"}]
    corpus += [{"_id": f"d{i}", "text": f"apple y{i} z{i} w{i} v{i} u{i} t{i}", "lang": "en"} for i in range(150)]
    queries = [
        {"_id": "q", "text": "apple pear", "lang": "en"},
        {"_id": "r", "text": " ".join(f"y{i}" for i in range(120)), "lang": "en"},
    ]
    encoder = Counting()
    eval_set = write_set(tmp_path / "s", corpus, queries, {"q": {"d7": 1}, "r": {"d3": 1}})
    found = measure(eval_set, encoder=encoder, max_tokens=16)
    assert [len(found.run[query]) for query in ("q", "r")] == [100, 100]
    assert ids(found, "q")[0] == "long"
    assert encoder.asked == [2, 1]


def test_few_documents_of_many_passages_are_asked_once(tmp_path: Path) -> None:
    sentences = " ".join(f"Apple pear x{i} y{i} z{i} w{i} v{i}." for i in range(400))
    corpus = [{"_id": f"d{i}", "text": sentences.replace("z", f"d{i}z"), "lang": "en"} for i in range(3)]
    encoder = Counting()
    eval_set = write_set(tmp_path / "s", corpus, [{"_id": "q", "text": "apple pear", "lang": "en"}], {"q": {"d0": 1}})
    found = measure(eval_set, encoder=encoder, max_tokens=16)
    assert encoder.asked == [1]
    assert set(ids(found, "q")) == {"d0", "d1", "d2"}


def test_fewer_documents_than_are_kept_end_the_asking(tmp_path: Path) -> None:
    encoder = Counting()
    measure(write_fruit(tmp_path / "fruit"), encoder=encoder)
    assert encoder.asked == [4]


def test_queries_are_asked_in_batches(tmp_path: Path) -> None:
    queries = [{"_id": f"q{i}", "text": "red apple", "lang": "lt"} for i in range(600)]
    encoder = Counting()
    eval_set = write_set(tmp_path / "s", CORPUS, queries, {f"q{i}": {"d1": 1} for i in range(600)})
    found = measure(eval_set, encoder=encoder)
    assert encoder.asked == [256, 256, 88]
    assert list(found.run) == [f"q{i}" for i in range(600)]
    assert found.report.mean.measures["mrr@10"] == 1


def test_with_a_reranker_each_query_is_asked_once(tmp_path: Path) -> None:
    class Shortest:
        def scores(self, query: str, texts: Sequence[str]) -> list[float]:
            return [-float(len(text)) for text in texts]

    corpus = [{"_id": f"d{i}", "text": f"apple {'x' * (i + 1)}", "lang": "en"} for i in range(150)]
    encoder = Counting()
    eval_set = write_set(tmp_path / "s", corpus, [{"_id": "q", "text": "apple", "lang": "en"}], {"q": {"d0": 1}})
    found = measure(eval_set, encoder=encoder, reranker=Shortest())
    assert encoder.asked == [1]
    numbers = [int(doc.removeprefix("d")) for doc in ids(found, "q")]
    assert len(numbers) == 50
    assert numbers == sorted(numbers)
    assert found.report.settings["rerank"] == "toy"


def test_an_index_is_made_once(tmp_path: Path, home: Path) -> None:
    eval_set, settings, encoder = write_fruit(tmp_path / "fruit"), BuildSettings(), ToyEncoder()
    first = kept_index(eval_set, settings, encoder)
    assert first.parent == home / "eval"
    assert first.name.startswith("fruit-")
    again = kept_index(eval_set, BuildSettings(ModelSettings(threads=1)), encoder)
    assert again == first
    assert encoder.encoded.count("red apple") == 1
    with Store.open(first) as store:
        assert store.documents.langs() == {"d1": "lt", "d2": "fa", "d3": "lt", "d4": "te", "d5": "lt"}


def test_what_decides_an_index_makes_another(tmp_path: Path, home: Path) -> None:
    eval_set, settings = write_fruit(tmp_path / "fruit"), BuildSettings()
    made = [kept_index(eval_set, settings, ToyEncoder())]
    made.append(kept_index(eval_set, BuildSettings(chunking=ChunkSettings(max_tokens=64)), ToyEncoder()))
    made.append(kept_index(eval_set, settings, ToyEncoder(weights_hash="other")))
    write_set(tmp_path / "fruit", CORPUS[:-1], QUERIES, QRELS)
    made.append(kept_index(eval_set, settings, ToyEncoder()))
    assert len(set(made)) == 4
    with Store.open(made[-1]) as store:
        assert store.manifest.counts.documents == 4


def test_a_kept_index_that_lost_a_file_is_made_again(tmp_path: Path, home: Path) -> None:
    eval_set, encoder = write_fruit(tmp_path / "fruit"), ToyEncoder()
    kept = kept_index(eval_set, BuildSettings(), encoder)
    next(kept.rglob("vectors.npy")).unlink()
    assert kept_index(eval_set, BuildSettings(), encoder) == kept
    assert encoder.encoded.count("red apple") == 2
    Store.open(kept).close()


def test_a_corpus_without_text_leaves_nothing_behind(tmp_path: Path, home: Path) -> None:
    eval_set = write_set(tmp_path / "empty", [{"_id": "d1", "text": " "}], QUERIES, QRELS)
    with pytest.raises(InputError, match=r"^nothing could be indexed"):
        kept_index(eval_set, BuildSettings(), ToyEncoder())
    assert [path.name for path in (home / "eval").iterdir() if path.is_dir()] == []


def test_an_index_of_other_documents_is_refused(tmp_path: Path) -> None:
    eval_set = write_fruit(tmp_path / "fruit")
    build([eval_set.corpus], tmp_path / "right", encoder=ToyEncoder())
    check_index(eval_set, tmp_path / "right")
    more = [*CORPUS, {"_id": "d9", "text": "one more"}, {"_id": "d8", "text": "and more"}]
    write_set(tmp_path / "more", more, QUERIES, QRELS)
    build([tmp_path / "more" / "corpus.jsonl"], tmp_path / "wrong", encoder=ToyEncoder())
    with pytest.raises(InputError, match=r"wrong: holds 2 documents that are not in .*corpus\.jsonl, such as 'd8'\. "):
        check_index(eval_set, tmp_path / "wrong")
