"""Which language a text is in: a table of sentences, short questions among them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.language import detect_language

SENTENCES = {
    "te": """
        గ్రంథాలయం ఎప్పుడు తెరుస్తారు?
        వర్షం ఎప్పుడు ఆగుతుంది?
        మీ పేరు ఏమిటి?
        రైలు టికెట్ ధర ఎంత?
        ఈ ఊరిలో పెద్ద చెరువు ఉంది.
        రైతులు వరి పంటను కోసి ధాన్యాన్ని ఇంటికి తెచ్చారు.
        పిల్లలు బడికి నడిచి వెళ్తారు.
        వైద్యుడు రోజూ ఉదయం ఆసుపత్రికి వస్తాడు.
        నగర పాలక సంస్థ కొత్త వంతెనను ప్రారంభించింది.
        చలికాలంలో ఉష్ణోగ్రత 10 డిగ్రీలకు పడిపోయింది.
        ఈ పుస్తకం 1998లో ముద్రించబడింది.
    """,
    "fa": """
        کتابخانه چه ساعتی باز می‌شود؟
        قیمت بلیت قطار چند است؟
        باران کی بند می‌آید؟
        چگونه نان بپزیم؟
        نام شما چیست؟
        کشاورزان برنج را درو کردند و به خانه بردند.
        شهرداری پل تازه‌ای روی رودخانه ساخت.
        کودکان پیاده به مدرسه می‌روند.
        پزشک هر روز صبح به بیمارستان می‌آید.
        در زمستان دما به ده درجه زیر صفر رسید.
        این کتاب در سال ۱۳۷۷ چاپ شده است.
        من نمی‌دانم چرا در بسته بود.
    """,
    "lt": """
        Kada atidaroma biblioteka?
        Kiek kainuoja bilietas?
        Kaip kepti duoną?
        Kur yra stotis?
        Kas parašė šią knygą?
        Ūkininkai nupjovė rugius ir parvežė grūdus namo.
        Savivaldybė pastatė naują tiltą per upę.
        Vaikai į mokyklą eina pėsčiomis.
        Gydytoja kas rytą atvyksta į ligoninę.
        Žiemą temperatūra nukrito iki dešimties laipsnių šalčio.
        Ši knyga išspausdinta 1998 metais.
        Nežinau, kodėl durys buvo uždarytos.
    """,
    "ur": """
        لائبریری کب کھلتی ہے؟
        ریل کے ٹکٹ کی قیمت کیا ہے؟
        آپ کا نام کیا ہے؟
        بارش کب رکے گی؟
        روٹی کیسے پکائیں؟
        کسانوں نے فصل کاٹی اور اناج گھر لے آئے۔
        شہری حکومت نے دریا پر نیا پل بنایا۔
        بچے پیدل اسکول جاتے ہیں۔
        ڈاکٹر روزانہ صبح ہسپتال آتا ہے۔
        سردیوں میں درجہ حرارت صفر سے دس درجے نیچے گر گیا۔
        یہ کتاب 1998 میں چھپی تھی۔
        مجھے معلوم نہیں کہ دروازہ بند کیوں تھا۔
    """,
    "en": """
        When does the library open?
        How much is a ticket?
        How do I bake bread?
        Where is the station?
        Who wrote this book?
        The farmers cut the rye and brought the grain home.
        The council built a new bridge over the river.
        Children walk to school.
        The doctor comes to the hospital every morning.
        In winter the temperature fell to ten degrees below zero.
        This book was printed in 1998.
        I do not know why the door was closed.
    """,
    "ar": """
        متى تفتح المكتبة؟
        كم ثمن تذكرة القطار؟
        أين تقع المحطة؟
        حصد المزارعون القمح وحملوه إلى البيت.
        بنت البلدية جسرا جديدا فوق النهر.
        يذهب الأطفال إلى المدرسة سيرا على الأقدام.
        طبع هذا الكتاب عام 1998.
    """,
    "ru": """
        Когда открывается библиотека?
        Сколько стоит билет?
        Где находится вокзал?
        Крестьяне скосили рожь и привезли зерно домой.
        Город построил новый мост через реку.
        Эта книга напечатана в 1998 году.
    """,
    "hi": """
        पुस्तकालय कब खुलता है?
        टिकट का दाम क्या है?
        स्टेशन कहाँ है?
        किसानों ने फसल काटी और अनाज घर ले आए।
        नगर पालिका ने नदी पर नया पुल बनाया।
        यह किताब 1998 में छपी थी।
    """,
    "pl": """
        Kiedy otwierają bibliotekę?
        Ile kosztuje bilet?
        Gdzie jest dworzec?
        Rolnicy skosili żyto i zwieźli ziarno do domu.
        Miasto zbudowało nowy most na rzece.
        Ta książka została wydrukowana w 1998 roku.
    """,
    "lv": """
        Kad tiek atvērta bibliotēka?
        Cik maksā biļete?
        Kur atrodas dzelzceļa stacija?
        Zemnieki nopļāva rudzus un aizveda graudus mājās.
        Pašvaldība uzcēla jaunu tiltu pār upi.
        Šī grāmata iespiesta 1998. gadā.
    """,
    "de": """
        Wann öffnet die Bibliothek?
        Was kostet eine Fahrkarte?
        Wo ist der Bahnhof?
        Die Bauern mähten den Roggen und brachten das Korn nach Hause.
        Die Stadt baute eine neue Brücke über den Fluss.
        Dieses Buch wurde 1998 gedruckt.
    """,
}
CASES = [(lang, line.strip()) for lang, lines in SENTENCES.items() for line in lines.split("\n") if line.strip()]


def test_the_table_is_long_enough() -> None:
    assert all(sum(one == lang for one, _ in CASES) >= 10 for lang in ("te", "fa", "lt", "ur", "en"))
    assert len(set(CASES)) == len(CASES)


@pytest.mark.parametrize(("lang", "text"), CASES)
def test_language_of_a_sentence(lang: str, text: str) -> None:
    assert detect_language(text) == lang


@pytest.mark.parametrize(("lang", "text"), CASES)
def test_an_index_of_other_languages_misleads_nobody(lang: str, text: str) -> None:
    assert detect_language(text, expected=["en", "te", "fa", "lt", "ur"]) == lang


@pytest.mark.parametrize(
    "text",
    ["", " ", "a", "ok", "x y", "1234 5678", "۱۲۳۴", "౧౨౩", "1998-03-05", "?!…", "😀😀😀", "\ud800", "ᚠᚢᚦᚨ"],
)
def test_too_few_letters_to_tell(text: str) -> None:
    assert detect_language(text, expected=["en", "lt"]) == "und"


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("COVID-19 کیا ہے؟", "ur"),
        ("NATO چیست؟", "fa"),
        ("WhatsApp کے بارے میں", "ur"),
        ("iPhone 15 తెలుగులో ఎలా వాడాలి?", "te"),
        ("What is లడ్డూ made of?", "en"),
        ("The poet Hafez (حافظ) lived in Shiraz.", "en"),
        ("Žodis «сапог» lietuviškai yra batas.", "lt"),
        ("В книге есть одно слово: їжак, а больше ничего украинского в ней нет.", "ru"),
    ],
)
def test_foreign_names_do_not_decide(text: str, lang: str) -> None:
    assert detect_language(text) == lang


@pytest.mark.parametrize(
    ("text", "lang"),
    [
        ("图书馆几点开门？", "zh"),
        ("図書館は何時に開きますか。", "ja"),
        ("도서관은 언제 엽니까?", "ko"),
        ("Πότε ανοίγει η βιβλιοθήκη;", "el"),
        ("ห้องสมุดเปิดกี่โมง", "th"),
        ("נפתחת הספרייה?", "he"),
        ("நூலகம் எப்போது திறக்கும்?", "ta"),
        ("Коли відкривається бібліотека?", "uk"),
        ("Ｗｈｅｎ ｄｏｅｓ ｔｈｅ ｌｉｂｒａｒｙ ｏｐｅｎ？", "en"),
    ],
)
def test_other_scripts(text: str, lang: str) -> None:
    assert detect_language(text) == lang


def test_an_expected_language_decides_between_close_ones() -> None:
    text = "Kur atrodas stacija?"
    assert {detect_language(text, expected=[lang]) for lang in ("lt", "lv")} == {"lt", "lv"}
    assert detect_language("When does the library open?", expected=["lt"]) == "en"
    assert detect_language("کتابخانه چه ساعتی باز می‌شود؟", expected=["ur", "ar"]) == "fa"


def test_only_the_beginning_of_a_long_text_is_read() -> None:
    assert detect_language("Vaikai į mokyklą eina pėsčiomis. " * 100 + "The farmers cut the rye. " * 1000) == "lt"


@given(st.text(max_size=60))
def test_any_text_has_a_tag_of_two_or_three_letters(text: str) -> None:
    lang = detect_language(text)
    assert lang.isascii()
    assert lang.islower()
    assert len(lang) in (2, 3)
    assert lang != "zxx"
