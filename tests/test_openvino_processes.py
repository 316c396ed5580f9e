"""Programs that prepare or use a model for OpenVINO: what they load, whom they ask, and what is left when they end."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from index.builder import build_documents
from index.cache import is_whole
from index.config import BuildSettings, ModelSettings
from index.encoder import open_encoder
from tests.builds import ROOT, documents, environment

SECONDS = 300
"""The longest wait for a program; one that exports loads torch."""
QUESTION = "Sentence number 7 stands here."

# Python reads this first in every process that finds it, also in one that telemetry starts by itself.
NO_NETWORK = """
import os, socket, traceback

def refuse(*given, **named):
    with open(os.environ["ASKED"], "a", encoding="utf-8") as file:
        print(given, "".join(traceback.format_stack(limit=8)), file=file)
    raise OSError("these tests have no network")

for name in ("connect", "connect_ex", "sendto", "bind"):
    setattr(socket.socket, name, refuse)
socket.getaddrinfo = socket.gethostbyname = socket.create_connection = refuse
"""
HEAVY = ["torch", "transformers", "sentence_transformers", "nncf", "huggingface_hub", "requests"]
# Runs commands of the program one after another, then tells what was loaded for them.
COMMANDS = f"""
import json, sys
from search.cli import main
for args in json.loads(sys.argv[1]):
    main(args, standalone_mode=False)
print(json.dumps([name for name in {[*HEAVY, "openvino_telemetry"]} if sys.modules.get(name) is not None]))
"""
EXPORT = """
import sys
from index.config import ModelSettings
from index.encoder import open_encoder
from tests.test_openvino_processes import QUESTION, Teller
encoder = open_encoder(ModelSettings(sys.argv[1], backend="openvino", precision=sys.argv[2]), Teller())
print(type(encoder).__name__, *encoder.encode_queries([QUESTION])[0].tolist(), flush=True)
"""
WITHOUT_OPENVINO = """
import sys
sys.modules["openvino"] = None  # as where it is not installed
from search.cli import main
try:
    main(["search", "--index", sys.argv[1], "--backend", "openvino", sys.argv[2]])
except SystemExit as end:
    print("status", end.code)
from search.searcher import Searcher
from tests.test_openvino_processes import Teller
with Searcher.open(sys.argv[1], progress=Teller()) as searcher:
    print(searcher.search(sys.argv[2], 1)[0].text)
print("torch" in sys.modules)
"""


class Teller:
    """A progress that prints stages and notices."""

    def start(self, label: str, total: int, unit: str) -> None:
        print(label, flush=True)

    def advance(self, n: int) -> None:
        pass

    def note(self, text: str) -> None:
        print(text, flush=True)

    def end(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Box:
    """A place where a program finds a home that is its own, and no network."""

    folder: Path

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def user(self) -> Path:
        return self.folder / "user"

    def start(self, code: str, *args: str) -> subprocess.Popen[str]:
        site = self.folder / "site"
        for made in (site, self.user):
            made.mkdir(exist_ok=True)
        (site / "sitecustomize.py").write_text(NO_NETWORK, "utf-8")
        env = environment(
            TONGUES_HOME=str(self.home),
            HOME=str(self.user),
            USERPROFILE=str(self.user),
            ASKED=str(self.folder / "asked"),
            PYTHONPATH=os.pathsep.join([str(site), str(ROOT)]),
            PYTHONIOENCODING="utf-8",
        )
        for name in ("HF_HUB_OFFLINE", "HF_ENDPOINT", "HF_HOME", "XDG_CACHE_HOME", "XDG_CONFIG_HOME"):
            env.pop(name, None)
        return subprocess.Popen(
            [sys.executable, "-c", code, *args], env=env, cwd=ROOT, stdout=-1, stderr=-1, encoding="utf-8"
        )

    def run(self, code: str, *args: str) -> tuple[list[str], str]:
        return finished(self.start(code, *args))

    def asked(self) -> str:
        path = self.folder / "asked"
        return path.read_text("utf-8") if path.exists() else ""

    def assert_left_alone(self) -> None:
        assert self.asked() == ""
        assert [path for path in self.user.rglob("*") if path.is_file()] == []


def finished(process: subprocess.Popen[str]) -> tuple[list[str], str]:
    """Return the lines of standard output and the text of standard error of a program that ends well."""
    out, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, err
    return out.splitlines(), err


def loaded(lines: Sequence[str]) -> list[str]:
    names: list[str] = json.loads(lines[-1])
    return names


@pytest.fixture
def box(tmp_path: Path) -> Box:
    return Box(tmp_path)


@pytest.fixture(scope="module")
def built(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Box, Path]:
    """A home with the tiny model exported as it is by default, and an index made with it."""
    box = Box(tmp_path_factory.mktemp("built"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONGUES_HOME", str(box.home))
        texts = [f"Sentence number {i} stands here." for i in range(40)]
        settings = BuildSettings(model=ModelSettings(str(tiny_model), backend="openvino"))
        build_documents(documents(*texts), box.folder / "index", settings=settings)
    return box, box.folder / "index"


def test_the_fence_holds(box: Box) -> None:
    for attempt in ("urllib.request.urlopen('http://127.0.0.1:9')", "socket.socket().connect(('127.0.0.1', 9))"):
        code = f"import socket, urllib.request\ntry:\n    {attempt}\nexcept OSError as error:\n    print(error)"
        assert "no network" in box.run(code)[0][0]
    assert box.asked().count("127.0.0.1") >= 2


def test_what_is_prepared_is_used_without_torch_or_network(built: tuple[Box, Path], tiny_model: Path) -> None:
    box, index = built
    text = box.folder / "long.txt"
    text.write_text("".join(f"Line {i} of a long text stands here.\n" for i in range(300)), "utf-8")
    commands = [
        ["search", "--index", str(index), "-k", "1", "--json", QUESTION],
        ["build", str(text), "--out", str(box.folder / "new"), "--model", str(tiny_model)],
        ["search", "--index", str(box.folder / "new"), "-k", "1", "--json", QUESTION],
    ]
    lines, err = box.run(COMMANDS, json.dumps(commands))
    assert json.loads(lines[0])["text"] == QUESTION
    assert "1 documents, " in err
    assert loaded(lines) == []
    box.assert_left_alone()


def test_two_processes_at_once_export_once_and_ask_nobody(box: Box, tiny_model: Path) -> None:
    both = [box.start(EXPORT, str(tiny_model), "int8") for _ in range(2)]
    one, two = [finished(process)[0] for process in both]
    said = sorted([*one[:-1], *two[:-1]], key=lambda line: line.startswith("preparing"))
    assert said[-1] == f"preparing {tiny_model.name} for OpenVINO in int8 (once)"
    assert len(said) <= 2  # the other one may say that it waits
    assert all(line.startswith("Another process is preparing tiny-int8-") for line in said[:-1])
    assert one[-1] == two[-1]
    assert one[-1].startswith("OpenVinoEncoder ")
    folders = [path for path in (box.home / "openvino").iterdir() if path.is_dir() and path.suffix != ".compiled"]
    assert [is_whole(folder) for folder in folders] == [True]
    box.assert_left_alone()


def test_a_killed_export_leaves_nothing_that_counts(
    box: Box, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = box.start(EXPORT, str(tiny_model), "fp32")
    ends_at = time.monotonic() + SECONDS
    while not list(box.home.glob("openvino/.new-*/tokens.npy")):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < ends_at
        time.sleep(0.005)
    process.kill()
    process.communicate()
    (left,) = box.home.glob("openvino/.new-*")
    assert list(box.home.glob("openvino/*/encoder.xml")) == []
    monkeypatch.setenv("TONGUES_HOME", str(box.home))
    open_encoder(ModelSettings(str(tiny_model), backend="openvino", precision="fp32"))
    assert not left.exists()
    assert len(list(box.home.glob("openvino/*/encoder.xml"))) == 1


def test_without_openvino_torch_serves_with_a_notice(built: tuple[Box, Path]) -> None:
    box, index = built
    lines, err = box.run(WITHOUT_OPENVINO, str(index), QUESTION)
    assert err.splitlines()[0].startswith("Error: OpenVINO cannot be used (")
    assert "pip install openvino" in err.splitlines()[0]
    assert err.splitlines()[0].endswith("--backend torch.")
    assert "Traceback" not in err
    status, notice, text, has_torch = lines
    assert (status, text, has_torch) == ("status 1", QUESTION, "True")
    assert notice.startswith("OpenVINO cannot be used (")
    assert "pip install openvino" in notice
    assert notice.endswith("torch computes instead: slower, in fp32.")
    box.assert_left_alone()
