"""Subtitles: the cues as running text, with their times."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.reading_files import FILES, document, marked, reason

NOTES = "NOTE 00:01.000 --> 00:02.000\nne\n\nvardas\n"


def vtt(tmp_path: Path, cues: str, name: str = "a.vtt") -> Path:
    path = tmp_path / name
    path.write_text(f"WEBVTT\n\n{cues}" if name.endswith("vtt") else cues, "utf-8")
    return path


def test_captions_that_roll_are_told_once() -> None:
    read = document("rolling-lt.vtt")
    assert read.text == (
        "sveiki atvykę į mūsų dviračių dirbtuves prie upės šiandien keisime\n"
        "Rasa Kalnienė: Kiek kainuoja grandinė & darbas?\n"
        "Jonas: Viską pasakysiu iš karto: 1987"
    )
    assert marked(read) == {
        "t=0.16": "sveiki atvykę į mūsų",
        "t=2.48": "dviračių dirbtuves prie upės",
        "t=5.2": "šiandien keisime",
        "t=75": "Rasa Kalnienė: Kiek kainuoja grandinė & darbas?",
        "t=77": "Jonas: Viską pasakysiu iš karto: 1987",
    }
    assert read.lang == "lt"


def test_subtitles_in_an_old_encoding() -> None:
    data = (FILES / "windows-1257.srt").read_bytes()
    assert b"\r\n" in data
    with pytest.raises(UnicodeDecodeError):
        data.decode()
    read = document("windows-1257.srt")
    assert read.text == (
        "Kirpykla „Žirklės“ atidaryta nuo antradienio iki šeštadienio.\n"
        "Ar galima ateiti be vizito?\nGalima, bet teks palaukti.\n"
        "Mūsų meistrė dirba nuo metų\n"
        "Pinigus grąžiname per savaitę."
    )
    assert list(marked(read)) == ["t=1", "t=3.6", "t=6.5", "t=9.1", "t=3723.45"]
    assert marked(read)["t=3723.45"] == "Pinigus grąžiname per savaitę."


def test_persian_subtitles_with_a_mark_of_their_encoding() -> None:
    read = document("bom-fa.srt")
    assert read.text == "سلام، به برنامهٔ امروز خوش آمدید. امروز دربارهٔ پس دادن کالا حرف می‌زنیم؟ نه، دربارهٔ قیمت‌ها."
    assert marked(read)["t=4.04"] == "خوش آمدید. امروز دربارهٔ پس دادن کالا"


@pytest.mark.parametrize(
    ("cues", "text"),
    [
        ("00:01.000 --> 00:02.000\nViena\n\n00:02.100 --> 00:03.000\ndvi.", "Viena dvi."),
        ("00:01.000 --> 00:02.000\nViena.”\n\n00:02.100 --> 00:03.000\nDvi", "Viena.”\nDvi"),
        ("00:01.000 --> 00:02.000\nViena\n\n00:09.000 --> 00:10.000\ndvi", "Viena\ndvi"),
        ("00:05.000 --> 00:06.000\nantra\n\n00:01.000 --> 00:02.000\npirma", "pirma antra"),
        ("00:01.000 --> 00:02.000\n<b>Sto</b>rai {ne} &lt;ir&gt; <i.x>kursyvu", "Storai {ne} <ir> kursyvu"),
        ("00:01.000 --> 00:03.000\nNe!\n\n00:08.000 --> 00:09.000\nNe!", "Ne!\nNe!"),
        (
            NOTES + "00:01.000 --> 00:02.000 line:0\ntaip\n1987\n\n2\n00:02.000 --> 00:03.000\nmetais",
            "taip 1987 metais",
        ),
    ],
    ids=["joined", "ended", "pause", "order", "tags", "said twice", "names"],
)
def test_how_cues_are_joined(tmp_path: Path, cues: str, text: str) -> None:
    assert document(vtt(tmp_path, cues)).text == text


def test_speech_without_stops_is_cut_at_cues(tmp_path: Path) -> None:
    cues = "".join(f"00:{n:02}.000 --> 00:{n + 1:02}.000\n{'žodis ' * 9}{n}\n\n" for n in range(1, 40))
    lines = document(vtt(tmp_path, cues)).text.split("\n")
    assert len(lines) > 5
    assert all(300 <= len(line) <= 400 for line in lines[:-1])


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("a.srt", "", "holds no cue with words"),
        ("a.vtt", "WEBVTT\n\nNOTE x\n", "holds no cue with words"),
        ("a.srt", "Tik tekstas.\n", "holds no cue with words"),
        ("a.srt", "1\n00:00:01,000 --> 00:00:02,000\n \n", "holds no cue with words"),
    ],
)
def test_a_file_without_cues_is_told(tmp_path: Path, name: str, data: str, told: str) -> None:
    path = tmp_path / name
    path.write_text(data)
    assert told in reason(path)


@pytest.mark.parametrize(
    ("name", "shown", "text"),
    [
        ("a.srt", r"write {name} in the template", "write {name} in the template"),
        ("a.srt", r"{\an8}{\i1}Viršuje{\i0} {y:i}pasvirai{c:$0000ff}", "Viršuje pasvirai"),
        ("a.vtt", r"{\an8}write {name} in {\large x}", r"write {name} in {\large x}"),
        ("a.srt", "{a: b} {} {x", "{a: b} {} {x"),
    ],
)
def test_braces_are_text_but_for_codes(tmp_path: Path, name: str, shown: str, text: str) -> None:
    point = "." if name.endswith("vtt") else ","
    cues = f"1\n00:00:01{point}000 --> 00:00:02{point}000\n{shown}\n"
    assert document(vtt(tmp_path, cues, name)).text == text


@pytest.mark.parametrize(("name", "point"), [("a.srt", ","), ("a.vtt", ".")])
def test_times_of_many_hours(tmp_path: Path, name: str, point: str) -> None:
    cues = (
        f"1\n99:59:59{point}500 --> 100:00:00{point}250\nprieš\n\n"
        f"2\n100:00:01{point}250 --> 100:00:02{point}000\npo 100:00:00{point}250\n"
    )
    read = document(vtt(tmp_path, cues, name))
    assert [mark.locator for mark in read.marks] == ["t=359999.5", "t=360001.25"]
    assert read.text == f"prieš po 100:00:00{point}250"


def test_a_voice_of_many_spaces_takes_no_time(tmp_path: Path) -> None:
    path = vtt(tmp_path, f"00:01.000 --> 00:02.000\n<v{' ' * 60_000}<v   Ona  >Laba.")
    began = time.perf_counter()
    assert document(path).text.endswith("Ona: Laba.")
    assert time.perf_counter() - began < 10
