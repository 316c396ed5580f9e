"""Fixtures shared by all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from index import offline_model
from index.config import ModelSettings
from index.encoder import PromptedEncoder, open_encoder
from index.parallel import parallel_means
from index.progress import SILENT
from tests.toys import ToyEncoder, make_tiny_model


@pytest.fixture(scope="session", autouse=True)
def _no_network() -> None:
    """Nothing in these tests may ask a hub; a test that means to sets its own address."""
    import os

    os.environ["HF_ENDPOINT"] = "http://127.0.0.1:9"  # the discard port: refuses at once


@pytest.fixture
def toy() -> ToyEncoder:
    return ToyEncoder()


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real, tiny sentence-transformers model in a folder, prepared once, so that no test tells of it by the way."""
    folder = make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")
    parallel_means(open_encoder(ModelSettings(str(folder))), SILENT)
    return folder


@pytest.fixture(scope="session")
def offline_folder() -> Path:
    """The offline model's folder, made in the user's cache if it is not there."""
    return offline_model.prepare()


@pytest.fixture(scope="session")
def offline_encoder(offline_folder: Path) -> PromptedEncoder:
    """The offline model as torch computes it, loaded once."""
    return open_encoder(ModelSettings(backend="torch"))


@pytest.fixture(scope="session")
def fast_encoder(offline_folder: Path) -> PromptedEncoder:
    """The offline model as it is used, loaded once."""
    return open_encoder(ModelSettings(backend="openvino"))
