"""Whatever the schema allows and forbids, asked at random: no error of the server, and only what is declared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from search.server.settings import ServerSettings
from tests.builds import documents, make_index
from tests.servers import Served, served

KEY = "k3y-that-nobody-guesses-0123456789"
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.unsupported_method,
    openapi_checks.ignored_auth,
]
OPERATIONS = [
    ("/search", "GET"),
    ("/search", "POST"),
    ("/passages/{passage_id}", "GET"),
    ("/languages", "GET"),
    ("/health", "GET"),
    ("/ready", "GET"),
    ("/metrics", "GET"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    out = tmp_path_factory.mktemp("schema") / "index"
    make_index(out, [*documents("one word", "two words"), *documents("trys žodžiai", lang="lt")])
    with served(out, ServerSettings(port=0, api_key=KEY)) as running:
        yield running


def schema_of(server: Served) -> dict[str, object]:
    answer = httpx.get(f"{server.url}/openapi.json", headers={"authorization": f"Bearer {KEY}"})
    schema: dict[str, object] = answer.json()
    return schema


def test_the_schema_names_every_address(server: Served) -> None:
    schema = schema_of(server)
    paths = schema["paths"]
    assert isinstance(paths, dict)
    assert sorted((path, method.upper()) for path in paths for method in paths[path]) == sorted(OPERATIONS)
    assert "HTTPValidationError" not in str(schema)
    for path, methods in paths.items():
        for operation in methods.values():
            assert ("security" in operation) is (path not in ("/health", "/ready"))
            assert {"414", "431", "503"} <= set(operation["responses"])
            assert ("422" in operation["responses"]) is (path in ("/search", "/passages/{passage_id}", "/languages"))


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_what_the_schema_says_holds(server: Served, path: str, method: str) -> None:
    schema = schemathesis.openapi.from_dict(schema_of(server))
    schema.config.update(base_url=server.url)
    operation = schema[path][method]
    n = 40 if path in ("/search", "/passages/{passage_id}") else 4
    modes = (schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE)
    strategies = [operation.as_strategy(generation_mode=mode) for mode in modes[: 2 if n > 4 else 1]]

    statuses: set[int] = set()

    @settings(
        max_examples=n,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=st.one_of(strategies))
    def ask(case: schemathesis.Case[Any]) -> None:
        answer = case.call_and_validate(checks=CHECKS, headers={"Authorization": f"Bearer {KEY}"})
        statuses.add(answer.status_code)

    ask()
    assert statuses & {200, 404}  # what was right came through, what was wrong did not
    assert (422 in statuses) is (n > 4)
