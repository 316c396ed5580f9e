"""Embedding by Ray Data: the texts of a build go to the workers of a cluster, the vectors come back as batches.

One task beside the driver reads and chunks; actors with a model each embed; the driver writes what comes back. Ray Data
holds the reading back while the actors are busy, so neither corpus nor vectors are ever in memory as a whole, and
workers need no disk in common with the driver. The home of ray.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from index import ahead
from index.ahead import Corpus, Task
from index.config import ModelSettings
from index.embedded import Embedded, vector_fingerprint
from index.encoder import Encoder, open_encoder
from index.errors import ClusterError, ModelError, SettingsError, TonguesError
from index.extras import needs
from index.files import home
from index.layout import EMBEDDED
from index.progress import Progress
from index.store import Store
from index.writer import writing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

LOCAL = "local"
AUTO = "auto"
_SECONDS_TO_ANSWER = 10.0
"""How long a cluster may take to accept a connection; Ray itself would try for minutes."""
_STORE_BYTES = 256 << 20
"""Shared memory of a cluster on this machine: some hundred tasks and batches, of which each takes about one MB."""
_TRIES_AGAIN = 3
"""How often a task is given to another worker after one died of it."""
_OF_OWN = {
    # Has Ray stay on the loopback interface, on Linux too; its option for the address of a node does not.
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
}
"""How Ray runs where it is started for one build; read when it is imported."""
_GO_ON = "What was embedded is kept; run the same again to go on."
_Columns = Mapping[str, "NDArray[np.generic] | Sequence[Any]"]


@dataclass(frozen=True, slots=True)
class RayCluster:
    """Embeds before a build; what ``index.build`` takes as ``ahead``.

    A worker has as many CPUs as the model is to have threads, one when the settings do not say: models that compute
    apart from each other never wait for each other.

    Attributes:
        address: ``local`` starts a cluster on this machine for as long as it is needed; ``auto`` joins the one that
            this machine belongs to, ``HOST:PORT`` the one whose head is there.
        workers: How many actors embed; 0 for as many as the cluster has CPUs for.
    """

    address: str = AUTO
    workers: int = 0

    def __post_init__(self) -> None:
        if "://" in self.address:
            raise SettingsError(
                f"{self.address}: Ray Data does not run through Ray's client. Let this machine join the cluster "
                "(`ray start --address=HEAD:6379 --num-cpus=0`) and name auto."
            )
        if self.address not in (LOCAL, AUTO) and not self.address.rpartition(":")[2].isdecimal():
            raise SettingsError(f"{self.address!r}: names no Ray cluster. Give local, auto or HOST:PORT.")
        if self.workers < 0:
            raise SettingsError(f"workers is {self.workers}; give a number from 0 (all CPUs of the cluster).")

    def __call__(self, corpus: Corpus, encoder: Encoder, embedded: Embedded, progress: Progress) -> int:
        """Embed what is not known yet; returns how many passages that were.

        Args:
            corpus: To read; only this machine needs its files.
            encoder: What the workers' own must agree with.
            embedded: Keeps what comes back, each batch as soon as it comes.
            progress: Told of the bytes of input whose texts are embedded.

        Raises:
            ClusterError: When there is no cluster, Ray is not installed, or workers fail again and again.
            ModelError: When a worker cannot open the model, or its vectors would be others.
            StoreError: When what comes back cannot be written.
        """
        model = corpus.settings.model
        if os.path.isabs(encoder.fingerprint.model):  # a folder; the workers stand in another one  # noqa: PTH117
            model = dataclasses.replace(model, name=encoder.fingerprint.model)
        n_cpus = model.threads or 1
        model = dataclasses.replace(model, threads=n_cpus)
        corpus = dataclasses.replace(corpus, settings=dataclasses.replace(corpus.settings, model=model))
        total = sum(file.size for file in corpus.files)
        n_passages = n_texts = 0
        with _connected(self.address) as ray, _failures():
            n_workers = self.workers or max(1, int(ray.cluster_resources().get("CPU", 1)) // n_cpus)
            rows = _dataset(ray, corpus, vector_fingerprint(encoder.fingerprint), n_workers, n_cpus)
            progress.start(f"embedding by up to {n_workers} workers", total, "B")
            try:
                for row in rows.iter_rows():
                    if row["problem"]:
                        raise ModelError(f"{row['problem']} {_GO_ON}")
                    with writing(corpus.out):
                        embedded.keep_encoded(bytes(row["batch"]))
                    n_passages += int(row["n_passages"])
                    n_texts += int(row["n_texts"])
                    progress.advance(int(row["n_bytes"]))
                    progress.note(f"{n_texts:,} texts")
            finally:
                progress.end()
        return n_passages


def _dataset(ray: Any, corpus: Corpus, fingerprint: str, n_workers: int, n_cpus: int) -> Any:
    """Return the dataset of batches: one row each, made as it is read."""
    here = ray.get_runtime_context().get_node_id()
    with warnings.catch_warnings():
        # There is no other way yet to say how often work is tried; pyproject.toml keeps to versions that have this one.
        warnings.filterwarnings("ignore", message="`ray_remote_args` is deprecated")
        # An item that is there, where a range would be read by a task that waits for a CPU: the workers have them all.
        reading = ray.data.from_items([{"at": 0}]).map_batches(
            _Reading(corpus, str(home())),
            batch_size=None,
            num_cpus=0,
            label_selector={"ray.io/node-id": here},  # of the driver's machine: the files are there
            max_retries=0,  # read once: what is read twice may have changed meanwhile
        )
        return reading.map_batches(
            Worker,
            fn_constructor_args=(corpus.settings.model, fingerprint),
            batch_size=1,
            num_cpus=n_cpus,
            compute=ray.data.ActorPoolStrategy(min_size=1, max_size=n_workers),
            max_restarts=-1,  # killed workers and lost machines are replaced without end
            max_task_retries=_TRIES_AGAIN,  # a task that kills them is given up
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    """Yields the tasks of a corpus, one row each; runs on the driver's machine.

    Attributes:
        corpus: To read.
        home: Where the driver keeps its models.
    """

    corpus: Corpus
    home: str

    def __call__(self, _: _Columns) -> Iterator[dict[str, list[Any]]]:
        try:
            for task in self._tasks():
                yield {"task": [task.to_bytes()], "n_bytes": [task.n_bytes], "problem": [""]}
        except Exception as error:  # as a row: what Ray makes of it does not tell the cause
            yield {"task": [b""], "n_bytes": [0], "problem": [_told("reading", error)]}

    def _tasks(self) -> Iterator[Task]:
        os.environ["TONGUES_HOME"] = self.home
        encoder = open_encoder(self.corpus.settings.model)
        embedded = Embedded(self.corpus.out / EMBEDDED, encoder.fingerprint)
        with contextlib.ExitStack() as stack:
            store = stack.enter_context(Store.open(self.corpus.out)) if self.corpus.takes_over else None
            yield from ahead.tasks_of(self.corpus, encoder, embedded, store)


class Worker:
    """Embeds tasks: an actor on any machine of the cluster, with a model of its own."""

    def __init__(self, settings: ModelSettings, fingerprint: str) -> None:
        """Note which model; it is opened with the first task, so that what goes wrong is told as that task's problem.

        Args:
            settings: Of the model.
            fingerprint: What ``vector_fingerprint`` must give for it.
        """
        self._settings = settings
        self._fingerprint = fingerprint
        self._encoder: Encoder | None = None

    def __call__(self, row: _Columns) -> dict[str, list[Any]]:
        """Return the batch of a task, or the problem that it met: the machine is named, the batch empty.

        Args:
            row: ``task``, ``n_bytes`` and ``problem``, each of one value.
        """
        problem = str(row["problem"][0])
        task, batch = Task(), b""
        if not problem:
            try:
                self._encoder = self._encoder or self._open()
                task = Task.from_bytes(bytes(row["task"][0]))
                batch = task.embed(self._encoder)
            except Exception as error:
                problem = _told(f"worker on {socket.gethostname()}", error)
        return {
            "batch": [batch],
            "problem": [problem],
            "n_passages": [len(task.passages)],
            "n_texts": [len(task.passages) + len(task.sentences)],
            "n_bytes": [int(row["n_bytes"][0])],
        }

    def _open(self) -> Encoder:
        encoder = open_encoder(self._settings)
        if vector_fingerprint(encoder.fingerprint) != self._fingerprint:
            raise ModelError(
                f"{self._settings.name} is another model here, or computed by other means "
                f"({encoder.fingerprint.precision}). Install the same versions on all machines of the cluster, and "
                "name backend and precision."
            )
        return encoder


def _told(where: str, error: Exception) -> str:
    """Return a problem as one sentence; what is no error of ours is told with its type."""
    kind = "" if isinstance(error, TonguesError) else f"{type(error).__name__}: "
    text = " ".join(str(error).split()) or "no reason given."
    return f"{where}: {kind}{text}"


@contextlib.contextmanager
def _connected(address: str) -> Iterator[Any]:
    """Give ray, connected to a cluster; one that was started here ends with the block."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # reports over the network; read at the import
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # the rest is in the log files
    if address == LOCAL:
        os.environ.update(_OF_OWN)
    elif address != AUTO:
        _knock(address)
    with needs("ray", "embedding on a Ray cluster"):
        import ray
        import ray.data
    with contextlib.ExitStack() as stack:
        # Ray prints what it tries again; standard output is for results.
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))
        _join(ray, address)
        stack.callback(ray.shutdown)
        logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # errors are told once, as our own
        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        context.print_on_execution_start = False
        context.target_max_block_size = 1  # a row a block: a batch comes back as soon as it is made
        yield ray


def _join(ray: Any, address: str) -> None:
    """Connect to a cluster, or start one.

    Raises:
        ClusterError: When that cannot be done.
    """
    options: dict[str, Any] = {"include_dashboard": False, "object_store_memory": _STORE_BYTES}
    remedy = (
        "Start it with `ray start --head`, name another address, or name local; where it asks for a token, set "
        "RAY_AUTH_MODE=token here too."
    )
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **(options if address == LOCAL else {}))
    except (Exception, SystemExit) as error:  # Ray ends the program when nothing answers as Ray does
        reason = str(error) if isinstance(error, Exception) else "nothing there answers as Ray does"
        raise ClusterError(f"the Ray cluster {address!r} cannot be used ({reason.strip()}). {remedy}") from error


def _knock(address: str) -> None:
    """Check that something listens where a cluster should be.

    Raises:
        ClusterError: When it does not.
    """
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _SECONDS_TO_ANSWER).close()
    except (OSError, OverflowError) as error:
        raise ClusterError(
            f"{address}: no Ray cluster can be reached there ({error}). Name the address that `ray start --head` told."
        ) from error


@contextlib.contextmanager
def _failures() -> Iterator[None]:
    """Turn what fails on the cluster, Ray's own retries in vain, into our own error.

    Raises:
        ClusterError: With the cause.
    """
    from ray.data.exceptions import ExecutionTimeoutError, SystemException
    from ray.exceptions import RayError

    try:
        yield
    except (RayError, SystemException, ExecutionTimeoutError) as error:
        reason = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
        raise ClusterError(f"the Ray cluster failed ({type(error).__name__}: {reason}). {_GO_ON}") from error
