"""Which prompts a model gets."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from index.prompts import Prompts, resolve_prompts

TASK = "Instruct: Given a web search query, retrieve relevant passages that answer the query\nQuery: "
REPRESENT = "Represent this sentence for searching relevant passages: "


def write_config(folder: Path, prompts: object) -> None:
    config = {"prompts": prompts, "default_prompt_name": None}
    (folder / "config_sentence_transformers.json").write_text(json.dumps(config), "utf-8")


@pytest.mark.parametrize(
    ("name", "query", "passage", "family"),
    [
        ("intfloat/multilingual-e5-small", "query: ", "passage: ", "e5"),
        ("intfloat/e5-base-v2", "query: ", "passage: ", "e5"),
        ("intfloat/multilingual-e5-large-instruct", TASK, "", "e5-instruct"),
        ("intfloat/e5-mistral-7b-instruct", TASK, "", "e5-instruct"),
        ("BAAI/bge-m3", "", "", "bge-m3"),
        ("BAAI/bge-small-en-v1.5", REPRESENT, "", "bge"),
        ("BAAI/bge-large-zh", "为这个句子生成表示以用于检索相关文章：", "", "bge-zh"),
        ("Alibaba-NLP/gte-multilingual-base", "", "", "gte"),
        ("Alibaba-NLP/gte-Qwen2-7B-instruct", TASK, "", "gte-instruct"),
        ("sentence-transformers/LaBSE", "", "", "labse"),
        ("paraphrase-multilingual-MiniLM-L12-v2", "", "", "paraphrase"),
        ("sentence-transformers/all-MiniLM-L6-v2", "", "", "all-*"),
        ("Snowflake/snowflake-arctic-embed-l-v2.0", "query: ", "", "arctic-2"),
        ("nomic-ai/nomic-embed-text-v1.5", "search_query: ", "search_document: ", "nomic"),
    ],
)
def test_families(tmp_path: Path, name: str, query: str, passage: str, family: str) -> None:
    assert resolve_prompts(tmp_path, name) == Prompts(query, passage, f"family {family}")


def test_of_an_unknown_model_nothing_is_known(tmp_path: Path) -> None:
    assert resolve_prompts(tmp_path, "someone/something") == Prompts("", "", "none")


@pytest.mark.parametrize("name", ["multilingual-e5-small", "Multilingual_E5_Small-tuned"])
def test_a_local_folder_is_known_by_its_own_name_only(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "bge-small-en" / name
    folder.mkdir(parents=True)
    for asked in (str(folder), f"{folder}/", "."):
        assert resolve_prompts(folder, asked) == Prompts("query: ", "passage: ", "family e5")
    other = tmp_path / "bge-small-en" / "mine"
    other.mkdir()
    assert resolve_prompts(other, str(other)) == Prompts("", "", "none")


def test_a_folder_of_the_hubs_cache_is_known_by_its_model(tmp_path: Path) -> None:
    folder = tmp_path / "models--intfloat--multilingual-e5-base" / "snapshots" / "0123abcd"
    folder.mkdir(parents=True)
    assert resolve_prompts(folder, str(folder)).source == "family e5"


@pytest.mark.parametrize(
    ("stored", "query", "passage"),
    [
        ({"query": "Q: ", "document": "D: "}, "Q: ", "D: "),
        ({"query": "Q: ", "passage": "P: "}, "Q: ", "P: "),
        ({"query": "Q: ", "document": "", "passage": "P: "}, "Q: ", "P: "),
        ({"search_query": "Q: ", "search_document": "D: "}, "Q: ", "D: "),
        ({"retrieval.query": "Q: ", "retrieval.passage": "P: "}, "Q: ", "P: "),
        ({"query": "Q: "}, "Q: ", ""),
        ({"query": "", "document": "D: "}, "", "D: "),
    ],
)
def test_the_models_own_prompts_come_before_its_familys(
    tmp_path: Path, stored: dict[str, str], query: str, passage: str
) -> None:
    write_config(tmp_path, stored)
    assert resolve_prompts(tmp_path, "intfloat/multilingual-e5-small") == Prompts(query, passage, "model")


@pytest.mark.parametrize("stored", [{}, {"query": "", "document": ""}, {"sts": "x"}, None, ["query"]])
def test_a_configuration_that_says_nothing_leaves_it_to_the_family(tmp_path: Path, stored: object) -> None:
    write_config(tmp_path, stored)
    assert resolve_prompts(tmp_path, "intfloat/multilingual-e5-small").source == "family e5"


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_a_configuration_that_cannot_be_read_leaves_it_to_the_family(tmp_path: Path, content: bytes) -> None:
    for name in ("config_sentence_transformers.json", "config.json", "README.md"):
        (tmp_path / name).write_bytes(content)
    assert resolve_prompts(tmp_path, "intfloat/multilingual-e5-small").source == "family e5"


@pytest.mark.parametrize(
    "field",
    [
        "base_model: intfloat/multilingual-e5-small",
        'base_model: "intfloat/multilingual-e5-small"',
        "base_model:\n- intfloat/multilingual-e5-small",
        "base_model:\r\n  - intfloat/multilingual-e5-small\r\n  - other/model",
        "base_model: [intfloat/multilingual-e5-small]",
    ],
)
def test_a_fine_tuned_model_has_the_prompts_of_its_base(tmp_path: Path, field: str) -> None:
    (tmp_path / "README.md").write_bytes(f"---\nlicense: mit\n{field}\ntags: []\n---\n# Mine\n".encode())
    assert resolve_prompts(tmp_path, "me/mine") == Prompts("query: ", "passage: ", "family e5")
    assert resolve_prompts(tmp_path, "me/mine-bge-m3").source == "family bge-m3"  # its own name comes first


def test_the_base_in_the_configuration_counts_too(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"_name_or_path": "intfloat/multilingual-e5-small"}', "utf-8")
    assert resolve_prompts(tmp_path, "me/mine").source == "family e5"


@pytest.mark.parametrize(
    ("query", "passage", "expected"),
    [
        ("ask: ", None, Prompts("ask: ", "passage: ", "user")),
        (None, "say: ", Prompts("query: ", "say: ", "user")),
        ("", "", Prompts("", "", "user")),
        (None, "", Prompts("query: ", "", "user")),
    ],
)
def test_what_the_user_says_comes_first(
    tmp_path: Path, query: str | None, passage: str | None, expected: Prompts
) -> None:
    assert resolve_prompts(tmp_path, "intfloat/multilingual-e5-small", query, passage) == expected
