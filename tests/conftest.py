"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from index import build, offline_model, update_documents
from index.config import ModelSettings
from index.encoder import PromptedEncoder, open_encoder
from index.parallel import parallel_means
from index.progress import SILENT
from index.sample_corpus import SAMPLES
from tests.browsing import DESKTOP, Served, odd_documents, open_browser, serving, watched_page
from tests.toys import ToyEncoder, make_tiny_model

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page


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


@pytest.fixture(scope="session")
def page_index(fast_encoder: PromptedEncoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An index of a third of the sample corpus and of documents that are hard to show, by the offline model."""
    out = tmp_path_factory.mktemp("page") / "index"
    some = [SAMPLES / lang / names for lang in ("fa", "lt", "te", "ur") for names in ("0[1-3]*", "11*")]
    build(some, out, encoder=fast_encoder)
    update_documents(out, odd_documents(), encoder=fast_encoder)
    return out


@pytest.fixture(scope="session")
def served(page_index: Path) -> Iterator[Served]:
    """That index, served."""
    with serving(page_index) as one:
        yield one


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_browser() as one:
        yield one


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Page]:
    """An empty page, as wide as a desk's, whose test fails when it leaves the host or breaks a policy."""
    context = browser.new_context(viewport=DESKTOP, locale="en-GB")
    one, watch = watched_page(context, served.address)
    yield one
    context.close()
    watch.check()
