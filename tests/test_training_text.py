"""The text that the offline model was trained with: how much there is, and that nothing in it is wrong or copied."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from index.errors import InputError
from index.parallel import PARALLEL_TEXT
from scripts.check_training_text import findings, grams, sample_texts, texts_of
from scripts.training_items import HELD_OUT, TEXT, Item, Pair, Role, TrainingText, read_training_text, text_files

OTHERS = TEXT.with_name("other_languages")
HELD = tuple(str(TEXT / f"{domain}.jsonl:") for domain in HELD_OUT)
SETS = Path(__file__).resolve().parent.parent.parent / "shared" / "eval"
LANGUAGES = ("en", "te", "fa", "lt", "ur")


@pytest.fixture(scope="module")
def ours() -> TrainingText:
    return read_training_text(text_files([TEXT, PARALLEL_TEXT]))


def test_there_is_enough_of_every_kind(ours: TrainingText) -> None:
    trained = read_training_text(text_files([TEXT, PARALLEL_TEXT], HELD_OUT))
    assert ours.languages == LANGUAGES
    paired = {i for pair in trained.pairs for i in (pair.question, pair.answer, *pair.near)}
    records = len(trained.items) - len(paired) + len(trained.pairs)
    assert records >= 2_000
    assert len(trained.pairs) >= 600
    assert sum(len(pair.near) == 2 for pair in trained.pairs) >= 150
    held_out = read_training_text(text_files([TEXT / f"{domain}.jsonl" for domain in HELD_OUT]))
    assert len(held_out.pairs) >= 70
    assert all(file.stat().st_size < 1 << 20 for file in text_files([TEXT]))
    answers = [ours.items[pair.answer] for pair in ours.pairs]
    assert all(35 <= len(item.texts["en"].split()) <= 125 for item in answers)


def test_it_holds_no_mistakes_that_can_be_counted(ours: TrainingText) -> None:
    trained = read_training_text(text_files([TEXT, PARALLEL_TEXT], HELD_OUT))
    others = [read_training_text([file]) for file in text_files([OTHERS])]
    measured = [words for text in others for item in text.items for words in item.texts.values()]
    measured += [words for item in ours.items if item.where.startswith(HELD) for words in item.texts.values()]
    measured += sample_texts()
    if SETS.is_dir():
        files = [path for name in ("corpus.jsonl", "queries.jsonl") for path in sorted(SETS.glob(f"*/{name}"))]
        measured += [text for path in files for text in texts_of(path)]
    assert list(findings(trained, measured)) == []
    assert list(findings(ours, sample_texts())) == []


def item(role: Role = Role.SENTENCE, **texts: str) -> Item:
    return Item(texts, role, "here:1")


def test_what_is_found() -> None:
    english = "The library is closed on the first Monday of every month for cleaning, says the notice."
    lithuanian = "Biblioteka kiekvieno mėnesio pirmą pirmadienį uždaryta, nes ji valoma, sako skelbimas."
    good = item(en=english, lt=lithuanian)

    def of(*items: Item, measured: str = "") -> list[str]:
        return [one.partition(": ")[2] for one in findings(TrainingText(("en", "lt"), items, ()), [measured])]

    assert of(good) == []
    assert [one[:13] for one in of(good, good)] == ["en: the same ", "lt: the same "]
    assert of(item(en=english, lt=english.replace("cleaning", "repairs")))[0].startswith("lt: looks like en")
    assert "times as long" in of(item(en=english, lt="Biblioteka uždaryta."))[0]
    assert of(good, measured=english.upper() + " And more.")[0].startswith("en: ten words in a row")
    assert of(item(en="Closed.", lt="Uždaryta."), measured="closed.") == [
        "en: is a text of a set that measures: Closed.…"
    ]
    assert len(grams(english)) == 7
    assert grams("nine words are too few to be copied here") == set()


def write(path: Path, *lines: object) -> Path:
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines), "utf-8")
    return path


def test_how_text_is_read(tmp_path: Path) -> None:
    one, two = {"en": "Where is it?", "lt": "Kur tai?"}, {"en": "Here.", "lt": "Čia."}
    long = {"en": "It is here, " * 30, "lt": "Tai čia, " * 30}
    write(tmp_path / "b.jsonl", {"question": one, "answer": two, "near": [two, long]}, two)
    write(tmp_path / "a.jsonl", one, long)
    text = read_training_text(text_files([tmp_path]))
    assert [item.role for item in text.items[:2]] == [Role.QUESTION, Role.PASSAGE]
    assert text.pairs == (Pair(2, 3, (4, 5)),)
    assert [text.items[i].role for i in (2, 3, 4, 5, 6)] == ["question", *["passage"] * 3, "sentence"]
    assert text.items[6].where == f"{tmp_path / 'b.jsonl'}:2"
    assert read_training_text(text_files([tmp_path], ["a"])).pairs == (Pair(0, 1, (2, 3)),)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "is no object of texts"),
        ('{"en": "a", "lt": " "}', "is no object of texts"),
        ('{"en": "a"}', "has en. Give each text in the same languages"),
        ('{"en": "a", "fa": "b"}', r"has en, fa\. Give each text in the same languages \(en, lt\)"),
        ('{"question": {"en": "a", "lt": "b"}}', "has question. Give question, answer, and near"),
        ('{"question": {"en": "a", "lt": "b"}, "answer": 3}', "is no object of texts"),
        ('{"question": {"en": "a", "lt": "b"}, "answer": {"en": "a", "lt": "b"}, "near": 3}', "near is no list"),
    ],
)
def test_lines_that_cannot_be_read(tmp_path: Path, line: str, said: str) -> None:
    path = write(tmp_path / "x.jsonl", {"en": "a", "lt": "b"})
    path.write_text(path.read_text("utf-8") + line + "\n", "utf-8")
    with pytest.raises(InputError, match=said) as caught:
        read_training_text([path])
    assert str(caught.value).startswith(f"{path}:2: ")


def test_no_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no text in"):
        read_training_text(text_files([tmp_path]))
