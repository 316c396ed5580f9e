"""Words and their folding, script by script."""

from __future__ import annotations

import unicodedata
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.terms import TERM_LENGTH, fold, iter_terms, terms

ANY_TEXT = st.text(st.characters(exclude_categories=[]), max_size=60)
LETTERS = st.text(
    st.sampled_from(
        "aZąŠłß İıſﬁéĖ\u0301\u0307 йЁёІ άΐς\u0345 كکيیىئةهۀۂۃھہأإآاؤۓ\u0654\u064e\u0670\u0640ﷺﻻ ۲۵౨٣9²½ సాఫ్ట్వేర్ృ "
        "\u00ad\u200c\u200d\u200e\u2066 東京オﾞｶの々〇 ภาษาไ๒ မြန်မာ ភាសា 한국 _-'.\ud800"
    ),
    max_size=30,
)


def words(text: str) -> list[str]:
    return [text[start:end] for _, start, end in iter_terms(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't snake_case it: 3,5 m.", ["Don", "snake", "case", "it", "3", "5"]),
        ("విద్యార్థుల హక్కులు", ["విద్యార్థుల", "హక్కులు"]),
        ("సాఫ్ట్\u200cవేర్ కొత్తది", ["సాఫ్ట్\u200cవేర్", "కొత్తది"]),
        ("کتاب\u200cهای تازه", ["کتاب", "های", "تازه"]),
        ("می\u200cخواهم PDF\u200cها", ["می", "خواهم", "PDF", "ها"]),
        ("آپ کا شکریہ۔ کیسے؟", ["آپ", "کا", "شکریہ", "کیسے"]),
        ("vartoto\u00adjas, ąžuolas!", ["vartoto\u00adjas", "ąžuolas"]),
        ("word\u00ad \u200cother\u200d.", ["word", "other"]),
        ("ab\u202bبا\u202ccd", ["ab", "با", "cd"]),
        ("\u0301xy \u0c3e", ["xy"]),
        ("I į 7 ఆ w", ["7"]),
    ],
)
def test_where_words_begin_and_end(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@pytest.mark.parametrize(
    "same",
    [
        ["Vartotojas", "vartotojo", "VARTOTOJŲ", "vartotojams"],
        ["įstatymas", "Įstatymai", "istatymo", "i\u0328statymų"],
        ["Žmogus", "žmogui", "zmogus"],
        ["వినియోగదారుడు", "వినియోగదారుల"],
        ["సాఫ్ట్\u200cవేర్", "సాఫ్ట్వేర్"],
        ["علي", "علی", "علیٰ", "عَلی", "علـــی"],
        ["كتاب", "کتاب", "كِتَاب"],
        ["خانه", "خانۀ", "خانهٔ", "خانة"],
        ["مسئول", "مسيول"],
        ["رؤيا", "رویا"],
        ["أحمد", "احمد", "إحمد"],
        ["ہے", "هے"],
        ["بھارت", "بهارت"],
        ["گئے", "گئۓ"],
        ["2016", "۲۰۱۶", "٢٠١٦", "౨౦౧౬", "२०१६", "２０１６"],
        ["café", "cafe\u0301", "CAFE"],
        ["Straße", "STRASSE"],
        ["ﬁnd", "find"],
        ["Ёлка", "ёлка", "е\u0308лка"],
    ],
)
def test_words_that_are_one_term(same: list[str]) -> None:
    assert {tuple(terms(word)) for word in same} == {tuple(terms(same[0]))}
    assert len(terms(same[0])) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("కల", "కాల"),  # a dream, a time: the vowel sign is a letter
        ("కలు", "కళు"),
        ("мой", "мои"),
        ("بال", "بار"),
        ("گل", "کل"),
        ("ہاں", "ہان"),
        ("کے", "کی"),
        ("łąka", "laka"),
        ("2016", "201"),
        ("A123456", "A123457"),
        ("قانون۱۳۴۵۶", "قانون۱۳۴۵۷"),
    ],
)
def test_words_that_are_two_terms(one: str, other: str) -> None:
    assert terms(one) != terms(other)


def test_a_term_is_the_beginning_of_a_word_and_numbers_are_whole() -> None:
    assert terms("Dissertation on invoice AB-1234567 of 20240131") == [
        "disse",
        "on",
        "invoi",
        "ab",
        "1234567",
        "of",
        "20240131",
    ]
    assert terms("యూనివర్సిటీ") == ["యూనివ"]
    assert terms("دانشگاه\u200cها") == ["دانشگ", "ها"]
    assert terms("m² x½") == ["m2", "x1⁄2"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("東京都", ["東京", "京都"]),
        ("日", ["日"]),
        ("東京2020オリンab", ["東京", "2020", "オリ", "リン", "ab"]),
        ("ｶﾞス ガス", ["ガス", "ガス"]),
        ("データー", ["デー", "ータ", "ター"]),
        ("ภาษาไทย ๒๕", ["ภา", "าษ", "ษา", "าไ", "ไท", "ทย", "25"]),
        ("ที่นี่", ["ที่นี่"]),
        ("မြန်မာ", ["မြန်", "န်မ", "မာ"]),
        ("한국어를 배우는", ["한국어를", "배우는"]),
    ],
)
def test_scripts_without_spaces_give_pairs(text: str, expected: list[str]) -> None:
    assert terms(text) == expected


def test_pairs_overlap_in_the_text() -> None:
    assert list(iter_terms("ab 東京都xy z")) == [("ab", 0, 2), ("東京", 3, 5), ("京都", 4, 6), ("xy", 6, 8)]


def test_an_endless_word_costs_no_more_than_a_word() -> None:
    endless = "Qk1" * 100_000
    ((term, start, end),) = iter_terms(endless)
    assert (len(term), start, end) == (64, 0, 300_000)
    assert len(terms("京都" * 1000)) == 1999


def test_nothing_to_find() -> None:
    assert [terms(text) for text in ("", " \n", "…!؟", "\u0640\u0640", "\ud800", "\u200c")] == [[]] * 6


@given(st.one_of(ANY_TEXT, LETTERS))
def test_offsets_are_those_of_the_text(text: str) -> None:
    found = list(iter_terms(text))
    assert terms(text) == [term for term, _, _ in found]
    for term, start, end in found:
        assert term
        assert 0 <= start < end <= len(text)
        assert fold(text[start:end]).startswith(term)
    assert all(a[1] < b[1] and a[2] < b[2] for a, b in pairwise(found))


@given(st.one_of(ANY_TEXT, LETTERS))
def test_folding_again_changes_nothing(word: str) -> None:
    folded = fold(word)
    assert fold(folded) == folded
    assert unicodedata.is_normalized("NFC", folded)


@given(st.one_of(ANY_TEXT, LETTERS))
def test_case_and_form_do_not_matter(text: str) -> None:
    assert fold(unicodedata.normalize("NFD", text)) == fold(text)
    assert all(len(term) <= TERM_LENGTH or any(map(str.isdecimal, term)) for term in terms(text) if term.isascii())
