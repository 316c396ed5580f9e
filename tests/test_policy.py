"""Rules the code keeps: what imports what, what is public, what is documented, how long a module may be."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest

import index
import search
from index import errors
from index.version import __version__
from search.cli import main
from tests.builds import ROOT, command, environment, run

MODULES = sorted(path for name in ("index", "search", "scripts") for path in (ROOT / name).rglob("*.py"))
HEAVY = [
    "charset_normalizer",
    "docx",
    "faiss",
    "fastapi",
    "grpc",
    "httpx",
    "lxml",
    "mcp",
    "milvus_lite",
    "nncf",
    "numpy",
    "openvino",
    "pptx",
    "prometheus_client",
    "py3langid",
    "pyarrow",
    "pydantic",
    "pymilvus",
    "pypdfium2",
    "pysubs2",
    "ray",
    "scipy",
    "sentence_transformers",
    "starlette",
    "tokenizers",
    "torch",
    "trafilatura",
    "transformers",
    "uvicorn",
]
HOMES = {
    "charset_normalizer": {"index/readers/legacy.py"},
    "click": {
        "search/cli.py",
        "search/cli_ask.py",
        "search/cli_build.py",
        "search/cli_completion.py",
        "search/cli_doctor.py",
        "search/cli_eval.py",
        "search/cli_export.py",
        "search/cli_help.py",
        "search/cli_mcp.py",
        "search/cli_options.py",
        "search/cli_serve.py",
        "search/cli_update.py",
        "search/completion.py",
        "search/watch.py",
    },
    "docx": {"index/readers/word.py"},
    "faiss": {
        "index/flat_index.py",
        "index/hnsw_index.py",
        "index/ivf_index.py",
        "index/pq_index.py",
        "index/vector_index.py",
    },
    "fastapi": {"search/server/app.py"},
    "grpc": {"index/milvus_client.py"},
    "h11": {"search/server/serving.py"},
    "httpx": {"search/client.py"},
    "huggingface_hub": {"index/models.py"},
    "lxml": {"index/readers/markup.py"},
    "ipykernel": {"scripts/run_notebooks.py"},
    "jupyter_client": {"scripts/run_notebooks.py"},
    "mcp": {"search/mcp_server.py"},
    "milvus_lite": {"index/milvus_local.py"},
    "nbclient": {"scripts/run_notebooks.py"},
    "nbformat": {"scripts/run_notebooks.py"},
    "nncf": {"index/openvino_export.py"},
    "openvino": {"index/openvino_encoder.py"},
    "platformdirs": {"index/files.py"},
    "pptx": {"index/readers/slides.py"},
    "prometheus_client": {"search/server/metrics.py"},
    "py3langid": {"index/language_model.py"},
    "pyarrow": {"index/parquet.py"},
    "pydantic": {"search/mcp_server.py", "search/server/app.py", "search/server/schema.py"},
    "pymilvus": {"index/milvus_client.py"},
    "pysubs2": {"index/readers/subtitles.py"},
    "pypdfium2": {"index/readers/pdf_file.py"},
    "ray": {"index/ray_embedding.py"},
    "scipy": {"search/metrics.py"},
    # One makes vectors of texts, the other scores pairs of them: no line of the one would serve the other.
    "sentence_transformers": {"index/torch_encoder.py", "search/rerank.py"},
    "sentencex": {"index/sentences.py"},
    "sqlite3": {"index/database.py"},
    "starlette": {"search/server/app.py"},
    "tokenizers": {
        "index/offline_model.py",
        "index/openvino_encoder.py",
        "index/torch_encoder.py",
        "index/unigram.py",
    },
    "torch": {
        "index/openvino_export.py",
        "index/torch_encoder.py",
        "scripts/train_model.py",
        "scripts/training_lessons.py",
        "scripts/training_student.py",
    },
    "tqdm": {"search/terminal.py"},
    "trafilatura": {"index/readers/web_page.py"},
    "transformers": {"index/torch_encoder.py"},
    "uvicorn": {"search/server/serving.py"},
    "watchfiles": {"search/watch.py"},
}


def imported(path: Path) -> set[str]:
    """Return the full names of the modules a file imports, anywhere in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module)
    return names


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize(
    "code",
    [
        "import search, search.cli, search.client, search.render, search.model_list",
        "import search.eval_compare, search.eval_report, search.eval_set, search.metrics, search.trec",
        "import index, index.store, index.generations, index.vectors, index.encoder, index.language_model",
        "import search.server.batching, search.server.guard, search.server.settings, search.server.pages",
        "import index.milvus_store, index.milvus_client, index.milvus_local, index.milvus_records",
        "import sys; sys.argv = ['tongues', '--help']; from search.cli import main; main(standalone_mode=False)",
        "import sys; sys.argv = ['tongues', 'models']; from search.cli import main; main(standalone_mode=False)",
    ],
)
def test_a_start_imports_nothing_heavy(code: str) -> None:
    shown = f"{code}\nimport sys\nprint('loaded', sorted(set({HEAVY}) & set(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", shown], capture_output=True, env=environment(), cwd=ROOT, check=True, timeout=60
    )
    assert result.stdout.decode().splitlines()[-1] == "loaded []"


def test_index_never_imports_search() -> None:
    for path in MODULES:
        if name_of(path).startswith("index/"):
            assert not {name for name in imported(path) if name.split(".")[0] in ("search", "scripts", "tests")}, path


@pytest.mark.parametrize("library", sorted(HOMES))
def test_every_library_has_one_home(library: str) -> None:
    users = {name_of(p) for p in MODULES if any(name.split(".")[0] == library for name in imported(p))}
    compared = {name for name in users if name.startswith(("scripts/bench_", "scripts/stock_"))}
    may_parse = {name for name in users if library == "click" and name.startswith("scripts/")}
    assert users - compared - may_parse == HOMES[library]


@pytest.mark.parametrize("package", [index, search])
def test_public_names_are_those_of_all(package: types.ModuleType) -> None:
    assert package.__all__ == sorted(package.__all__) == dir(package)
    assert package.__version__ == __version__
    assert package.__file__ is not None
    told = {
        alias.name: node.module
        for block in ast.parse(Path(package.__file__).read_text("utf-8")).body
        if isinstance(block, ast.If)
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert told == package._HOMES  # what types are checked with is what is given out
    assert set(told) == {name for name in package.__all__ if name != "__version__"}
    for name, home in told.items():
        assert getattr(package, name) is getattr(importlib.import_module(str(home)), name)
    with pytest.raises(AttributeError, match=r"has no attribute 'nothing'"):
        package.nothing  # noqa: B018


def test_what_callers_catch_name_and_annotate_is_public() -> None:
    raised = {name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, Exception)}
    wanted = raised | {"Encoder", "Progress", "Store", "open_encoder", "verify"}
    assert wanted <= set(index.__all__)
    assert {"Balance", "Hit", "Mode", "RankSettings", "Reranker", "Searcher", "Weights"} <= set(search.__all__)
    assert index.TonguesError is errors.TonguesError


@pytest.mark.parametrize("name", sorted(main.commands))
def test_every_command_is_in_the_readme(name: str) -> None:
    assert f"tongues {name}" in (ROOT / "README.md").read_text("utf-8")


def test_no_module_is_too_long() -> None:
    tests = sorted((ROOT / "tests").glob("*.py"))
    n_lines = {name_of(path): len(path.read_text("utf-8").splitlines()) for path in [*MODULES, *tests]}
    assert {name: n for name, n in n_lines.items() if n > 400} == {}
    assert len(n_lines) > 40


def test_one_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert project["project"]["dynamic"] == ["version"]
    assert project["tool"]["hatch"]["version"]["path"] == "index/version.py"
    assert run(command("--version")).stdout.decode() == f"tongues, version {__version__}\n"
    assert project["project"]["scripts"] == {"tongues": "search.cli:run"}


def test_packages_only_export() -> None:
    for path in (ROOT / "index" / "__init__.py", ROOT / "search" / "__init__.py"):
        for node in ast.parse(path.read_text("utf-8")).body:
            assert isinstance(node, ast.Import | ast.ImportFrom | ast.Expr | ast.Assign | ast.If | ast.FunctionDef)
            assert not isinstance(node, ast.FunctionDef) or node.name in ("__getattr__", "__dir__")
