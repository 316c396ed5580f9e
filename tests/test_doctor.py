"""``tongues doctor``: what it finds of real installations, models and indexes, and that it changes nothing."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from index.builder import build_documents
from index.config import BuildSettings, ModelSettings
from index.layout import FAISS, GENERATIONS
from index.records import Document
from index.store import current_generation
from search.cli import main
from search.doctor import Finding, State, examine
from search.doctor_machine import EXTRAS, NEEDED, cpu_share, network_drive, told_size, version_of
from tests.builds import ROOT, command, documents, environment, make_index, run


def tongues(*args: str) -> Result:
    return CliRunner().invoke(main, list(args), prog_name="tongues")


@pytest.fixture(scope="module")
def built(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index by a tiny model that is ready."""
    out = tmp_path_factory.mktemp("doctor") / "index"
    made = [*documents("fresh bread", "cold water"), Document("lt", "lt.txt", "šviežia duona", lang="lt")]
    build_documents(made, out, settings=BuildSettings(model=ModelSettings(str(tiny_model))))
    assert tongues("search", "--index", str(out), "bread").exit_code == 0
    return out


def found(*args: str) -> dict[tuple[str, str], dict[str, str]]:
    """Return what is found, by section and name."""
    rows = [json.loads(line) for line in tongues("doctor", "--json", *args).stdout.splitlines()]
    assert all(list(row) == ["section", "name", "state", "text", "remedy"] for row in rows)
    assert all(bool(row["remedy"]) or row["state"] == "ok" for row in rows if row["name"] != "opened")
    assert len({(row["section"], row["name"]) for row in rows}) == len(rows)
    return {(row["section"], row["name"]): row for row in rows}


def state_of(folder: Path) -> dict[str, tuple[int, int]]:
    return {str(path): (path.stat().st_size, path.stat().st_mtime_ns) for path in sorted(folder.rglob("*"))}


def test_an_index_that_is_well(built: Path, tiny_model: Path) -> None:
    rows = found("--index", str(built), "--deep")
    assert not [row for row in rows.values() if row["state"] == "fail"]
    assert rows["machine", "manytongues"]["state"] == "ok"
    assert rows["libraries", "needed"]["text"].startswith(f"all {len(NEEDED)}: faiss-cpu ")
    assert rows["libraries", "parquet"]["text"] == f"pyarrow {version_of('pyarrow')}"
    assert str(tiny_model) in rows["model", "files"]["text"]
    assert re.match(r"OpenVINO \d+\.\S+: .*tiny-int8-", rows["model", "computed by"]["text"])
    assert rows["model", "fingerprint"]["text"].startswith("32 numbers, reads 48 tokens, int8, weights ")
    assert re.match(r"a sentence and its translation -?\d\.\d\d, another", rows["model", "meaning"]["text"])
    assert rows["index", "content"]["text"].startswith("3 documents, 3 passages (en, lt), ")
    assert rows["index", "kind"] == {"section": "index", "name": "kind", "state": "ok", "text": "flat", "remedy": ""}
    assert rows["index", "segments"]["text"] == "1; 0 of 3 passages dead (0%)"
    assert rows["index", "checksums"]["text"] == "all as they were written"
    assert rows["index", "sources"]["text"] == "documents that a program put in"
    assert re.match(r"question to hits: first \d+ ms, then \d+\.\d ms", rows["speed", "search"]["text"])
    assert re.fullmatch(r"\d\.\d\d s", rows["speed", "start"]["text"])


def test_nothing_is_written(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from index.files import home

    before = state_of(home()), state_of(built)
    assert tongues("doctor", "--index", str(built), "--deep").exit_code == 0
    assert (state_of(home()), state_of(built)) == before
    empty = tmp_path / "home"
    monkeypatch.setenv("TONGUES_HOME", str(empty))
    assert tongues("doctor", "--index", str(built)).exit_code == 0
    assert tongues("doctor").exit_code == 0
    assert not empty.exists()


def test_a_model_that_is_not_prepared_is_not_prepared_now(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONGUES_HOME", str(tmp_path))
    rows = found("--index", str(built))
    assert rows["model", "computed by"]["state"] == "warn"
    assert "not prepared yet" in rows["model", "computed by"]["text"]
    assert "The first build or search makes it" in rows["model", "computed by"]["remedy"]
    assert ("speed", "search") not in rows
    offline = found()
    assert offline["model", "files"]["text"] == "e5-small: not prepared yet"
    assert "takes a minute or two" in offline["model", "files"]["remedy"]


def test_a_model_that_is_not_here(built: Path, tmp_path: Path) -> None:
    rows = found("--index", str(built), "--model", "nobody/has-this-model")
    assert rows["model", "files"]["state"] == "fail"
    assert "--model nobody/has-this-model" in rows["model", "files"]["remedy"]
    assert tongues("doctor", "--model", str(tmp_path / "none")).exit_code == 1


def test_a_model_of_other_weights(built: Path, tiny_model: Path, tmp_path: Path) -> None:
    other = shutil.copytree(tiny_model, tmp_path / "other")
    config = json.loads((other / "config.json").read_text("utf-8"))
    (other / "config.json").write_text(json.dumps({**config, "note": "changed"}), "utf-8")
    rows = found("--index", str(built), "--model", str(other))
    assert rows["model", "files"]["state"] == "fail"
    assert "other weights than the index was made with" in rows["model", "files"]["text"]
    assert ("index", "content") in rows  # the rest is told all the same


def test_torch_is_told_of_as_what_computes(built: Path) -> None:
    rows = found("--index", str(built), "--backend", "torch")
    assert rows["model", "computed by"]["text"] == f"torch {version_of('torch')}, as asked"
    assert rows["speed", "model opened"]["text"].endswith(" by torch")


def test_the_offline_model_brings_languages_together(offline_folder: Path) -> None:
    rows = found()
    if rows["model", "computed by"]["state"] == "ok":  # it was asked before on this machine
        assert rows["model", "meaning"]["state"] == "ok"
    torch = found("--backend", "torch")
    same, other = map(float, re.findall(r"\d\.\d\d", torch["model", "meaning"]["text"]))
    assert same > other + 0.05


def test_no_index_and_damaged_ones(built: Path, tmp_path: Path) -> None:
    result = tongues("doctor", "--index", str(tmp_path / "none"))
    assert result.exit_code == 1
    assert f"fail  index      opened               {tmp_path / 'none'}: there is no such directory" in result.stdout
    assert re.search(r"\d+ ok, \d+ warn, 1 fail\n", result.stderr)
    copy = shutil.copytree(built, tmp_path / "copy")
    path = current_generation(copy) / "s000001" / FAISS
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert found("--index", str(copy))["index", "opened"]["state"] == "ok"
    deep = found("--index", str(copy), "--deep")["index", "checksums"]
    assert (deep["state"], deep["remedy"]) == ("fail", f"tongues repair --index {copy}")
    path.write_bytes(whole[:-1])
    assert found("--index", str(copy))["index", "opened"]["state"] == "fail"
    assert tongues("doctor", "--deep").exit_code == 2


def named(findings: list[Finding], name: str) -> Finding:
    (one,) = [finding for finding in findings if finding.name == name and finding.section == "index"]
    return one


def test_what_makes_an_index_slow_or_large(tmp_path: Path) -> None:
    from search.doctor_index import look_at_index
    from tests.toys import ToyEncoder

    out = tmp_path / "index"
    make_index(out, documents(*(f"text {number} of bread" for number in range(40))))
    from index.updater import update_documents

    gone = [(f"{number}.txt", f"d{number}") for number in range(1, 6)]
    update_documents(out, [], remove=gone, encoder=ToyEncoder())
    _, findings = look_at_index(str(out), deep=False)
    assert named(findings, "segments").text == "1; 5 of 40 passages dead (12%)"
    assert named(findings, "segments").state is State.OK
    assert "1 before it" in named(findings, "generations").text
    (out / GENERATIONS / ".new-g000009-0123456789abcdef").mkdir()
    (out / "embedded").mkdir()
    (out / "embedded" / "batch").write_bytes(b"x" * 2000)
    _, findings = look_at_index(str(out), deep=False)
    assert "1 half-written ones: the next update clears" in named(findings, "generations").text
    assert named(findings, "unfinished").text == "a build or update has not ended: 2.0 kB of vectors are kept for it"


def test_sources_that_are_gone_and_files_not_read(tiny_model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.txt").write_text("fresh bread")
    (folder / "b.txt").write_bytes(b"")
    args = ["build", "a.txt", "b.txt", "--out", str(tmp_path / "index"), "--model", str(tiny_model), "-q"]
    assert run(command(*args), cwd=folder).returncode == 0
    rows = found("--index", str(tmp_path / "index"))
    assert rows["index", "not read"]["text"] == "1 files or records could not be read"
    assert rows["index", "sources"]["text"] == f"2, below {folder}"
    shutil.rmtree(folder)
    rows = found("--index", str(tmp_path / "index"))
    assert (rows["index", "sources"]["state"], "is not there any more" in rows["index", "sources"]["text"]) == (
        "warn",
        True,
    )


@pytest.mark.parametrize("folder", ["/nowhere-here/home", "{tmp_path}/closed/home"])
def test_a_cache_that_cannot_be_written(folder: str, tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(0o700)
    code = (  # root may write anywhere, so it becomes nobody once all is imported
        "import os\nfrom search.doctor_machine import _home\nimport platformdirs\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "print([(one.state.value, one.text, one.remedy) for one in _home()])"
    )
    closed = tmp_path / "closed"
    if os.getuid() != 0:
        closed.chmod(0)
    changes = environment(TONGUES_HOME=folder.format(tmp_path=tmp_path))
    done = subprocess.run([sys.executable, "-c", code], env=changes, cwd=ROOT, capture_output=True, check=False)
    closed.chmod(0o700)
    assert done.stdout.startswith(b"[('warn', '"), done.stderr
    assert b"it cannot be written" in done.stdout


def test_limits_of_threads_are_told(built: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    rows = {one.name: one for one in examine() if one.section == "machine"}
    assert (rows["cores"].state, "OMP_NUM_THREADS=1" in rows["cores"].text) == (State.WARN, True)
    limit = tmp_path / "cpu.max"
    for text, share in (("150000 100000\n", 1.5), ("max 100000\n", None), ("nonsense", None)):
        limit.write_text(text)
        assert cpu_share(limit) == share
    assert cpu_share(tmp_path / "none") is None


def test_network_drives_are_told_from_disks(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        f"/dev/sda1 / ext4 rw 0 0\nserver:/a {tmp_path}/net nfs4 rw 0 0\nnone {tmp_path}/net/local tmpfs rw 0 0\n"
        f"user@host: {tmp_path}/my\\040mount fuse.sshfs rw 0 0\nbroken\n"
    )
    for name, kind in (("net/a", "nfs4"), ("net/local/a", ""), ("my mount", "fuse.sshfs"), ("network", "")):
        assert network_drive(tmp_path / name, mounts) == kind
    assert network_drive(tmp_path, tmp_path / "none") == ""


def test_it_takes_seconds(built: Path) -> None:
    began = time.monotonic()
    result = run(command("doctor", "--index", str(built), "--color", "always"))
    seconds = time.monotonic() - began
    assert result.returncode == 0
    assert b"\x1b[32mok  \x1b[0m  machine" in result.stdout
    assert b" fail\n" in result.stderr
    assert seconds < 60  # fifteen on a machine that does nothing else: all libraries are imported


def doctored(tmp_path: Path, broken: dict[str, str], *args: str) -> dict[tuple[str, str], dict[str, str]]:
    """Return what is found, in a process where some libraries are other ones."""
    for name, code in broken.items():
        (tmp_path / f"{name}.py").write_text(code, "utf-8")
    done = subprocess.run(
        command("doctor", "--json", *args),
        env=environment(PYTHONPATH=f"{tmp_path}{os.pathsep}{ROOT}"),
        cwd=ROOT,
        capture_output=True,
        timeout=300,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    rows = [json.loads(line) for line in done.stdout.decode().splitlines()]
    assert done.returncode == int(any(row["state"] == "fail" for row in rows))
    return {(row["section"], row["name"]): row for row in rows}


def test_broken_libraries_are_told(built: Path, tmp_path: Path) -> None:
    broken = {
        "faiss": "raise ImportError('no such symbol')",
        "uvicorn": "import os; os._exit(7)",
    }
    rows = doctored(tmp_path, broken, "--index", str(built))
    needed, serve = rows["libraries", "needed"], rows["libraries", "serve"]
    assert needed["state"] == "fail"
    assert needed["remedy"].startswith("pip install --force-reinstall faiss-cpu")
    assert needed["text"].startswith("cannot be imported: faiss-cpu (ImportError: no such symbol)")
    assert (serve["state"], serve["text"]) == ("warn", "cannot be imported: uvicorn (ends Python with status 7)")
    assert rows["libraries", "parquet"]["state"] == "ok"
    assert rows["speed", "search"]["state"] == "fail"
    assert "no such symbol" in rows["speed", "search"]["text"]
    assert ("index", "content") in rows  # the rest is told all the same


def test_a_library_that_everything_needs_is_broken(tmp_path: Path) -> None:
    rows = doctored(tmp_path, {"regex": "raise ValueError('of another Python')"})
    assert "regex (ValueError: of another Python)" in rows["libraries", "needed"]["text"]


def test_what_prepares_a_model_is_looked_at_too(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = {"nncf": "raise ImportError('of another OpenVINO')"}
    monkeypatch.setenv("TONGUES_HOME", str(tmp_path / "home"))
    for args in ((), ("--index", str(built))):
        row = doctored(tmp_path, broken, *args)["model", "computed by"]
        assert (row["state"], row["remedy"]) == ("warn", "pip install --force-reinstall nncf")
        assert "nncf cannot be imported (ImportError: of another OpenVINO); torch computes instead" in row["text"]
    row = doctored(tmp_path, broken, "--backend", "openvino")["model", "computed by"]
    assert row["state"] == "fail"


def test_extras_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[\[<>=;! ]", one)[0] for one in requirements if not one.startswith("manytongues")}

    extras = {extra: names(listed) for extra, listed in project["optional-dependencies"].items()}
    assert {extra: set(listed) for extra, listed in EXTRAS.items()} == {
        extra: listed for extra, listed in extras.items() if extra not in ("all", "dev")
    }
    assert set(NEEDED) == names([one for one in project["dependencies"] if ";" not in one])


def test_sizes() -> None:
    assert [told_size(n) for n in (0, 999, 1500, 2e6, 3.25e9)] == ["0 bytes", "999 bytes", "1.5 kB", "2.0 MB", "3.2 GB"]
