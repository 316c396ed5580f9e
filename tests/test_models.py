"""From a model's name to its files: local folders, the hub's cache, and hubs that do not answer."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from index.errors import ModelError
from index.models import HUB_SECONDS, cached_hub_ids, find_model

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONGUES_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))


@pytest.fixture
def model(tmp_path: Path, tiny_model: Path) -> Path:
    folder = tmp_path / "mine"
    shutil.copytree(tiny_model, folder)
    return folder


def put_in_cache(cache: Path, files: Path, name: str = "org--tiny", sha: str = "0123456789abcdef" * 2) -> Path:
    """Lay a model out as the hub's client does."""
    folder = cache / f"models--{name}" / "snapshots" / sha
    shutil.copytree(files, folder)
    refs = folder.parent.parent / "refs"
    refs.mkdir()
    (refs / "main").write_text(sha, "utf-8")
    return folder


def find_in_new_process(name: str, hub_seconds: int = HUB_SECONDS, **environment: str) -> tuple[str, float]:
    """Return what another interpreter says of a model's name, and the seconds it took."""
    code = (
        "import sys\n"
        "from index.errors import TonguesError\n"
        "from index import models\n"
        "models.HUB_SECONDS = int(sys.argv[2])\n"
        "try:\n"
        "    files = models.find_model(sys.argv[1])\n"
        "    print('found', files.folder, 'huggingface_hub' in sys.modules)\n"
        "except TonguesError as error:\n"
        "    print(type(error).__name__, error)\n"
    )
    started = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-c", code, name, str(hub_seconds)],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip(), time.monotonic() - started


def test_a_local_folder(tmp_path: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_model(str(model))
    assert (found.name, found.folder) == (str(model.resolve()), model.resolve())
    assert len(found.weights_hash) == 64
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    for name in ("mine", "./mine", "mine/", "~/mine", f"{tmp_path}/mine/../mine"):
        assert find_model(name) == found


def test_the_hash_follows_what_decides_the_vectors(model: Path) -> None:
    first = find_model(str(model)).weights_hash
    (model / "README.md").write_text("Other words.", "utf-8")
    assert find_model(str(model)).weights_hash == first
    moved = model.rename(model.with_name("moved"))
    assert find_model(str(moved)).weights_hash == first
    weights = moved / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    changed = find_model(str(moved)).weights_hash
    tokenizer = moved / "tokenizer.json"
    tokenizer.write_text(tokenizer.read_text("utf-8") + " ", "utf-8")
    assert len({first, changed, find_model(str(moved)).weights_hash}) == 3


def test_a_hash_is_remembered_and_a_broken_memory_is_replaced(tmp_path: Path, model: Path) -> None:
    first = find_model(str(model)).weights_hash
    (remembered,) = (tmp_path / "home" / "weights").iterdir()
    assert remembered.read_text("ascii") == first
    remembered.write_text("", "ascii")
    assert find_model(str(model)).weights_hash == first


@pytest.mark.parametrize("missing", ["config", "weights", "part"])
def test_a_folder_that_is_no_model(model: Path, missing: str) -> None:
    if missing == "config":
        (model / "config.json").unlink()
        (model / "modules.json").unlink()
    elif missing == "weights":
        (model / "model.safetensors").unlink()
    else:
        parts = {"weight_map": {"a": "model.safetensors", "b": "model-00002.safetensors"}}
        (model / "model.safetensors.index.json").write_text(json.dumps(parts), "utf-8")
    with pytest.raises(ModelError, match=r"not a model: .*config\.json.*e5-small"):
        find_model(str(model))


@pytest.mark.parametrize(
    "name", ["/no/such/folder", "./none", "../none", "~/none", "a/b/c", "~nobody-of-this-name/m", "a b"]
)
def test_a_folder_that_is_not_there(name: str) -> None:
    with pytest.raises(ModelError, match=r"e5-small") as caught:
        find_model(name)
    assert str(caught.value).startswith(f"{name}: ")


def test_a_file_is_no_folder(model: Path) -> None:
    with pytest.raises(ModelError, match="there is no such folder"):
        find_model(str(model / "model.safetensors"))


def test_a_model_in_the_hubs_cache_needs_no_hub(tmp_path: Path, tiny_model: Path) -> None:
    folder = put_in_cache(tmp_path / "hub", tiny_model)
    found = find_model("org/tiny")
    assert (found.name, found.folder) == ("org/tiny", folder)
    assert cached_hub_ids() == ["org/tiny"]
    said, _ = find_in_new_process("org/tiny")
    assert said == f"found {folder} False"


def test_a_name_without_owner_is_the_librarys_own(tmp_path: Path, tiny_model: Path) -> None:
    folder = put_in_cache(tmp_path / "hub", tiny_model, "sentence-transformers--tiny")
    assert find_model("tiny").folder == folder
    assert cached_hub_ids() == ["sentence-transformers/tiny"]


@pytest.mark.parametrize("variable", ["HF_HOME", "XDG_CACHE_HOME", "HUGGINGFACE_HUB_CACHE"])
def test_the_cache_is_where_the_hubs_client_keeps_it(
    tmp_path: Path, tiny_model: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    for name in ("HF_HOME", "XDG_CACHE_HOME", "HUGGINGFACE_HUB_CACHE", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(variable, str(tmp_path / "there"))
    asked = "from huggingface_hub import constants; print(constants.HF_HUB_CACHE)"
    done = subprocess.run([sys.executable, "-c", asked], capture_output=True, text=True, check=True)
    folder = put_in_cache(Path(done.stdout.strip()), tiny_model)
    assert find_model("org/tiny").folder == folder


def test_a_download_cut_short_is_not_taken_for_a_model(tmp_path: Path, tiny_model: Path) -> None:
    folder = put_in_cache(tmp_path / "hub", tiny_model)
    (folder / "model.safetensors").unlink()
    assert cached_hub_ids() == []
    said, _ = find_in_new_process("org/tiny", HF_HUB_OFFLINE="1")
    assert said.startswith("ModelError org/tiny: the hub cannot be reached (OfflineModeIsEnabled)")


def test_a_hub_that_refuses() -> None:
    said, seconds = find_in_new_process("org/tiny", HF_ENDPOINT="http://127.0.0.1:9")
    assert said.startswith("ModelError org/tiny: the hub cannot be reached")
    assert "e5-small" in said
    assert "--model" in said
    assert seconds < 20


def test_a_hub_that_never_answers() -> None:
    assert HUB_SECONDS <= 15
    done = threading.Event()
    held: list[socket.socket] = []

    def accept(server: socket.socket) -> None:
        while not done.is_set():
            with contextlib.suppress(TimeoutError):
                held.append(server.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        thread = threading.Thread(target=accept, args=(server,), daemon=True)
        thread.start()
        try:
            endpoint = f"http://127.0.0.1:{server.getsockname()[1]}"
            said, seconds = find_in_new_process("org/tiny", hub_seconds=1, HF_ENDPOINT=endpoint)
        finally:
            done.set()
            thread.join(10)
            for connection in held:
                connection.close()
    assert held
    assert said.startswith("ModelError org/tiny: the hub cannot be reached")
    assert "e5-small" in said
    assert 1 <= seconds < 12  # one limit, not one a try


def test_files_that_are_not_loaded_change_no_hash(model: Path) -> None:
    before = find_model(str(model)).weights_hash
    (model / "pytorch_model.bin").write_bytes(b"the same weights in another form")
    (model / "onnx").mkdir()
    (model / "onnx" / "config.json").write_text("{}", "utf-8")
    assert find_model(str(model)).weights_hash == before
    (model / "sentence_bert_config.json").write_text('{"max_seq_length": 7}', "utf-8")
    assert find_model(str(model)).weights_hash != before


def test_a_model_that_only_an_index_names_is_not_fetched(tmp_path: Path, tiny_model: Path) -> None:
    with pytest.raises(ModelError, match=r"Fetch it with --model org/tiny$"):
        find_model("org/tiny", may_fetch=False)
    put_in_cache(tmp_path / "hub", tiny_model)
    assert find_model("org/tiny", may_fetch=False).name == "org/tiny"


def test_a_mistyped_name_of_the_offline_model() -> None:
    said, _ = find_in_new_process("e5-smal", hub_seconds=1)
    assert said.startswith("ModelError e5-smal: there is no model of this name here. Did you mean e5-small?")
