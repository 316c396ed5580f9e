"""What a score is made of, worked out anew by NumPy; the closest sentence, and the words that count."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from index.builder import build_documents
from index.config import BuildSettings
from index.errors import SettingsError
from index.parallel import PARALLEL_TEXT
from index.records import Document
from index.store import Store
from index.vectors import to_int8
from search.hits import Hit
from search.rank_settings import Balance, Mode, RankSettings, Weights
from search.searcher import Searcher
from tests.builds import documents, make_index
from tests.toys import ToyEncoder

TEXTS = {
    "en1": [
        "Red apples grow in the old garden behind the house.",
        "Nobody has ever counted all of the green pears here.",
    ],
    "en2": ["The river Nemunas flows through Kaunas to the sea, slowly."],
    "en3": [
        "In Kaunas the winter of 1941 was long and very cold.",
        "Apples were kept in the cellar until the end of March.",
        "The river froze, and people walked over it to the town.",
    ],
    "lt1": [
        "Nemunas teka per Kauną ir lėtai pasiekia Kuršių marias.",
        "Kaunas auga abiejose Nemuno pusėse nuo 1361 metų.",
    ],
    "lt2": ["Raudoni obuoliai auga sename sode už mūsų namo, apples."],
    "te1": ["నది పట్టణం గుండా ప్రవహించి చివరకు సముద్రంలో కలుస్తుంది, Kaunas.", "ఎర్రటి ఆపిల్ పండ్లు పాత తోటలో పెరుగుతాయి అని అందరికీ తెలుసు."],
    "te2": ["పాత తోటలో 1941 సంవత్సరంలో ఎవరూ లేరు, నది గడ్డకట్టింది."],
}
"""Documents of sentences that are each long enough to have a vector, in order of their rows."""
NAMES = list(TEXTS)
QUERIES = [
    "red apples",
    "Kaunas 1941",
    "the river Nemunas",
    "నది పట్టణం",
    "apples Kaunas nowhere",
    "?",
    "obuoliai auga sode",
]
SETTINGS = [RankSettings(mode, balance) for mode in (Mode.DENSE, Mode.HYBRID) for balance in Balance]
OTHER = RankSettings(weights=Weights(0.3, sentence_share=1, sentence_temperature=0.2, lexical=2, lexical_expected=0))


def corpus() -> list[Document]:
    return [Document(name, f"{name}.txt", " ".join(texts), lang=name[:2]) for name, texts in TEXTS.items()]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("ranking") / "index"
    make_index(out, corpus())
    return out


@pytest.fixture(scope="module")
def searcher(directory: Path) -> Iterator[Searcher]:
    with Searcher.open(directory, encoder=ToyEncoder()) as opened:
        yield opened


@dataclass
class Expected:
    """The parts of a document's score, and its closest sentence."""

    dense: float
    balance: float
    lexical: float
    highlight: str


def offsets_by_hand() -> dict[str, NDArray[np.float64]]:
    lines = [json.loads(line) for line in PARALLEL_TEXT.read_text("utf-8").splitlines()]
    means = {lang: ToyEncoder().encode_passages([line[lang] for line in lines]).mean(axis=0) for lang in lines[0]}
    middle = np.mean(list(means.values()), axis=0)
    return {lang: mean.astype(np.float64) - middle for lang, mean in means.items()}


def by_hand(directory: Path, query: str, settings: RankSettings) -> dict[str, Expected]:
    """Score every document the long way: with vectors made, one after the other, for each strength."""
    toy, offsets = ToyEncoder(), offsets_by_hand()
    asked = toy.encode_queries([query])[0].astype(np.float64)
    numbers = settings.weights
    strength = {"off": 0.0, "auto": numbers.balance, "full": 1.0}[str(settings.balance)]
    with Store.open(directory) as store:
        words = store.lexical()
        assert words is not None
        of_query = words.query(query)
        lexical = (
            of_query.scores(np.arange(len(NAMES))),
            dict(zip(store.manifest.languages, of_query.coverage, strict=True)),
        )

    def cosine(vector: NDArray[Any], taken: NDArray[Any] | float) -> float:
        rest = vector - taken
        return float(rest @ asked / np.linalg.norm(rest))

    expected = {}
    for row, (name, sentences) in enumerate(TEXTS.items()):
        taken = strength * offsets[name[:2]]
        whole = toy.encode_passages([" ".join(sentences)])[0].astype(np.float64)
        dense, level, closest = cosine(whole, 0), cosine(whole, taken), 0
        if len(sentences) > 1:
            parts = to_int8(toy.encode_passages(sentences)).astype(np.float64)
            parts /= np.linalg.norm(parts, axis=1, keepdims=True)
            plain, even = [cosine(part, 0) for part in parts], [cosine(part, taken) for part in parts]
            closest = int(np.argmax(even))
            weights = np.exp((np.array(even) - max(even)) / numbers.sentence_temperature)
            share = numbers.sentence_share
            dense = (1 - share) * dense + share * np.average(plain, weights=weights)
            level = (1 - share) * level + share * np.average(even, weights=weights)
        counted = numbers.lexical * (lexical[0][row] - numbers.lexical_expected * lexical[1][name[:2]])
        expected[name] = Expected(dense, level - dense, counted if settings.mode == "hybrid" else 0, sentences[closest])
    return expected


def shown(hit: Hit) -> str:
    """Return the sentence that a hit points at, in its document's text."""
    return " ".join(TEXTS[hit.doc_id])[hit.highlight[0] : hit.highlight[1]]


@pytest.mark.parametrize(
    "settings", [*SETTINGS, OTHER], ids=lambda settings: f"{settings.mode}-{settings.balance}-{settings.strength}"
)
@pytest.mark.parametrize("query", QUERIES)
def test_every_part_of_every_score(query: str, settings: RankSettings, searcher: Searcher, directory: Path) -> None:
    expected = by_hand(directory, query, settings)
    hits = searcher.search(query, settings=settings)
    assert len(hits) == len(NAMES)
    for hit in hits:
        of_hit = expected[hit.doc_id]
        parts = (of_hit.dense, of_hit.balance, of_hit.lexical)
        assert (hit.dense, hit.balance, hit.lexical) == pytest.approx(parts, abs=1e-5)
        assert hit.score == pytest.approx(hit.dense + hit.balance + hit.lexical, abs=1e-6)
        assert shown(hit) == of_hit.highlight
        assert hit.terms == ()
    assert all(before.score >= after.score for before, after in itertools.pairwise(hits))
    assert any(hit.balance for hit in hits) == (settings.balance != "off")


def test_the_default_is_hybrid_and_auto(searcher: Searcher) -> None:
    assert RankSettings() == RankSettings("hybrid", "auto") == RankSettings(Mode.HYBRID, Balance.AUTO)
    assert searcher.search("red apples") == searcher.search("red apples", settings=RankSettings())


@pytest.mark.parametrize("query", QUERIES)
def test_lexical_mode_is_bm25_alone(query: str, searcher: Searcher, directory: Path) -> None:
    with Store.open(directory) as store:
        words = store.lexical()
        assert words is not None
        scores = words.query(query).all_scores()
    hits = searcher.search(query, settings=RankSettings("lexical"))
    order = sorted((row for row in range(len(NAMES)) if scores[row] > 0), key=lambda row: (-scores[row], row))
    assert [hit.doc_id for hit in hits] == [NAMES[row] for row in order]
    assert [(hit.score, hit.lexical) for hit in hits] == [(float(scores[row]),) * 2 for row in order]
    assert all((hit.dense, hit.balance, hit.highlight) == (0, 0, (hit.start, hit.end)) for hit in hits)
    assert searcher.search(query, 1, settings=RankSettings("lexical")) == hits[:1]
    lithuanian = searcher.search(query, lang="lt", settings=RankSettings("lexical"))
    assert [hit.doc_id for hit in lithuanian] == [hit.doc_id for hit in hits if hit.lang == "lt"]


@pytest.mark.parametrize("query", ["wörter dié nirgends", "?", "ŝtehen 77777"])
@pytest.mark.parametrize("balance", Balance)
def test_words_that_stand_nowhere_change_nothing(query: str, balance: Balance, searcher: Searcher) -> None:
    hits = searcher.search(query, settings=RankSettings("hybrid", balance))
    assert [hit.lexical for hit in hits] == [0] * len(NAMES)
    assert hits == searcher.search(query, settings=RankSettings("dense", balance))
    assert searcher.search(query, settings=RankSettings("lexical", balance)) == []


def test_a_language_that_has_all_words_is_ranked_by_them_within_itself(searcher: Searcher, directory: Path) -> None:
    query = "counted green pears"
    with Store.open(directory) as store:
        words = store.lexical()
        assert words is not None
        of_query = words.query(query)
    coverage = dict(zip(searcher.languages, of_query.coverage.tolist(), strict=True))
    assert coverage == {"en": 1, "lt": 0, "te": 0}
    assert {hit.lexical for hit in searcher.search(query) if hit.lang != "en"} == {0}
    english = [hit for hit in searcher.search(query) if hit.lang == "en"]
    scores = of_query.scores(np.array([NAMES.index(hit.doc_id) for hit in english]))
    numbers = Weights()
    taken_off = [hit.lexical - numbers.lexical * float(score) for hit, score in zip(english, scores, strict=True)]
    # The same for all of them: what is expected of a passage in English.
    assert taken_off == pytest.approx([-numbers.lexical * numbers.lexical_expected * coverage["en"]] * 3, abs=1e-6)
    assert [hit.lexical for hit in searcher.search("పట్టణం", lang="en")] == [0, 0, 0]


def test_words_are_given_when_they_are_asked_for(searcher: Searcher) -> None:
    for mode in ("hybrid", "lexical"):
        hits = searcher.search("RED apple, 1941!", settings=RankSettings(mode), explain=True)
        terms = {hit.doc_id: hit.terms for hit in hits}
        assert (terms["en1"], terms["en3"]) == (("Red", "apples"), ("1941", "Apples"))
        assert (terms["lt2"], terms["te2"]) == (("apples",), ("1941",))
    dense = searcher.search("RED apple, 1941!", settings=RankSettings("dense"), explain=True)
    assert {hit.terms for hit in dense} == {()}  # they do not count
    first = searcher.search("apples", 1, explain=True)[0]
    assert first.to_dict()["terms"] == list(first.terms)


def test_settings_are_checked_with_what_there_is(searcher: Searcher) -> None:
    with pytest.raises(SettingsError, match=r"^mode is 'words'; give one of dense, hybrid, lexical\.$"):
        RankSettings("words")
    with pytest.raises(SettingsError, match=r"^balance is ''; give one of off, auto, full\.$"):
        RankSettings(balance="")
    for name in ("balance", "sentence_share", "lexical_expected"):
        for value in (-0.1, 1.1, float("nan")):
            with pytest.raises(SettingsError, match=f"^{name} is {value}; give a number from 0 to 1"):
                Weights(**{name: value})
    for wrong in ({"lexical": -1.0}, {"lexical": float("inf")}, {"sentence_temperature": 0.0}):
        with pytest.raises(SettingsError, match=r"^lexical and sentence_temperature must be numbers"):
            Weights(**wrong)
    assert [RankSettings(balance=balance).strength for balance in Balance] == [0, Weights().balance, 1]


def test_a_batch_is_each_query_alone_in_every_mode(searcher: Searcher) -> None:
    for settings in [*SETTINGS, RankSettings("lexical")]:
        for asked in ({"k": 3}, {"lang": "lt,te"}, {"per_language": 1}):
            alone = [searcher.search(query, settings=settings, **asked) for query in QUERIES]
            assert searcher.search_batch(QUERIES, settings=settings, **asked) == alone


def search_one(tmp_path: Path, made: Sequence[Document], query: str, **settings: Any) -> list[Hit]:
    build_documents(made, tmp_path / "index", encoder=ToyEncoder(), settings=BuildSettings(**settings))
    with Searcher.open(tmp_path / "index", encoder=ToyEncoder()) as searcher:
        return searcher.search(query, 50, explain=True)


def test_of_sentences_equally_close_the_first_is_shown(tmp_path: Path) -> None:
    same = "Red apples grow in gardens behind the houses of the town"
    text = f"Nothing of what is asked stands in this first sentence. {same}. {same}! {same}?"
    (hit,) = search_one(tmp_path, documents(text), "red apples in gardens")
    assert text[slice(*hit.highlight)] == f"{same}."


def test_a_passage_of_one_sentence_is_its_own_highlight(tmp_path: Path) -> None:
    made = documents("One sentence alone, with apples and with nothing else in it.", "Yes. No. Apples!", "apples " * 40)
    hits = search_one(tmp_path, made, "apples")
    assert len(hits) == 3
    assert all(hit.highlight == (hit.start, hit.end) for hit in hits)


def test_highlights_count_from_the_beginning_of_the_document(tmp_path: Path) -> None:
    sentences = [
        f"😀 Sentence number{i} of e\u0301 long\u200c document says something about topic{i}." for i in range(40)
    ]
    text = "\r\n\t" + "\r\n\r\n".join(" ".join(sentences[at : at + 5]) for at in range(0, 40, 5))
    for number in (0, 7, 23, 39):
        hits = search_one(tmp_path, documents(text), f"number{number} topic{number}")
        assert len(hits) > 5
        assert text[slice(*hits[0].highlight)] == sentences[number]
        for hit in hits:
            assert hit.start <= hit.highlight[0] < hit.highlight[1] <= hit.end
            assert text[hit.start : hit.end] == hit.text
            assert text[slice(*hit.highlight)] in sentences


@pytest.mark.parametrize(
    ("lang", "sentences"),
    [
        ("te", ["గ్రంథాలయం ప్రతి ఆదివారం ఉదయం తొమ్మిది గంటలకు తెరుస్తారు.", "పిల్లలు అక్కడ పుస్తకాలు చదవడానికి మరియు ఆడుకోవడానికి వస్తారు."]),
        (
            "fa",
            [
                "کتابخانه هر جمعه ساعت نه صبح باز می‌شود و همه می‌آیند.",
                "کودکان برای خواندن کتاب و بازی به آن‌جا می‌روند، هر هفته.",
            ],
        ),
        (
            "ur",
            [
                "کتب خانہ ہر اتوار کی صبح نو بجے کھلتا ہے اور سب آتے ہیں۔",
                "بچے وہاں کتابیں پڑھنے اور کھیلنے کے لیے ہر ہفتے آتے ہیں۔",
            ],
        ),
        (
            "lt",
            [
                "Biblioteka kiekvieną sekmadienį atidaroma devintą ryto.",
                "Vaikai čia ateina skaityti knygų ir žaisti kas savaitę.",
            ],
        ),
    ],
)
def test_highlights_in_every_script(lang: str, sentences: list[str], tmp_path: Path) -> None:
    text = " ".join(sentences)
    for sentence in sentences:
        (hit,) = search_one(tmp_path, documents(text, lang=lang), sentence.split()[2] + " " + sentence.split()[3])
        assert text[slice(*hit.highlight)] == sentence


def test_a_title_is_read_for_words_and_meaning_but_never_shown_as_a_sentence(tmp_path: Path) -> None:
    made = [Document("1", "a.txt", " ".join(TEXTS["en1"]), "Zebras of the north", "en")]
    (hit,) = search_one(tmp_path, made, "zebras")
    assert hit.lexical > 0
    assert hit.terms == ("Zebras",)
    assert hit.dense > 0
    assert " ".join(TEXTS["en1"])[slice(*hit.highlight)] in TEXTS["en1"]


def test_an_index_without_sentences_scores_by_passages(tmp_path: Path) -> None:
    toy = ToyEncoder()
    hits = search_one(tmp_path, corpus(), "red apples", sentences=False)
    asked = toy.encode_queries(["red apples"])[0]
    exact = toy.encode_passages([" ".join(TEXTS[hit.doc_id]) for hit in hits]) @ asked
    assert [hit.dense for hit in hits] == pytest.approx(exact.tolist(), abs=1e-6)
    assert all(hit.highlight == (hit.start, hit.end) for hit in hits)
    assert {hit.balance != 0 for hit in hits} == {True}
