"""Whether ready vectors are those of the model that is said to have made them: some texts are embedded and compared."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from index.config import BuildSettings
from index.encoder import Encoder, Fingerprint, open_encoder, settings_for
from index.errors import InputError
from index.manifest import check_same
from index.progress import Progress
from index.ready import ReadyFields, ReadyRows, check_text_column
from index.records import model_text

_COMPARED = 128
"""Rows that are embedded to be compared, spread over all: a hundredth of them that is wrong is hit too."""
_SAME = 0.99
"""The least median of the cosines of vectors that are one model's.

Source: 202 passages in four languages by e5-small, int8; medians: torch in fp32 .999, no prompt .998, without the last
tenth of each text .994, the prompt of questions .986, half of each text .966, the vectors of other texts .80.
"""
_NEAR, _MOST_FAR = 0.95, 0.2
"""Below so much a text was embedded otherwise or is another one, and so many of them may be.

Source: as above, the lowest of all when titles were not embedded with the text: .944, and a tenth below .973.
"""
_OTHER = 0.90
"""Below so much a vector is that of another text, which not a single row may have.

Source: between the two figures above, .944 of the same text without its title and .80 of another one.
"""


@dataclass(frozen=True, slots=True)
class Claim:
    """What came of comparing.

    Attributes:
        compared: How many rows were embedded.
        cosine: The median cosine of their vectors with those given.
    """

    compared: int
    cosine: float


def encoder_for(
    rows: ReadyRows, model: str | None, settings: BuildSettings, encoder: Encoder | None, progress: Progress
) -> tuple[BuildSettings, Encoder]:
    """Open the model that made ready vectors, or check that the encoder given is that model.

    Args:
        rows: What an export says of itself tells the model.
        model: Its name, when somebody names it.
        settings: Of the index; prompts, backend and threads are taken from them.
        encoder: An encoder to use instead.
        progress: Told of the model's preparation.

    Returns:
        The settings with the model, and its encoder.

    Raises:
        InputError: When nothing tells which model it was.
        ModelError: When it cannot be found or loaded.
        EncoderMismatchError: When it is another one than made an export.
    """
    made_with = _fingerprint(rows)
    if encoder is None:
        if model is None and made_with is None:
            raise InputError(
                f"{rows.name}: does not tell which model made its vectors, and a question must be embedded by the same "
                "one. Name it with --model (`tongues models` lists what there is)."
            )
        own = settings.model
        if made_with:
            for prompt in ("query_prompt", "passage_prompt"):
                if getattr(own, prompt) not in (None, getattr(made_with, prompt)):
                    raise InputError(
                        f"{rows.name}: was made with the {prompt} {getattr(made_with, prompt)!r}, which goes with its "
                        f"vectors; leave --{prompt.replace('_', '-')} out."
                    )
            own = settings_for(made_with, model, own.backend, own.threads)
        elif model:
            own = dataclasses.replace(own, name=model)
        settings = dataclasses.replace(settings, model=own)
        encoder = open_encoder(own, progress, may_fetch=model is not None)
    if made_with:
        check_same(made_with, encoder.fingerprint, rows.name)
    return settings, encoder


def _fingerprint(rows: ReadyRows) -> Fingerprint | None:
    """Return what an export says of the model; None for any other file."""
    told = rows.told.get("encoder")
    if told is None:
        return None
    defaults = dataclasses.asdict(Fingerprint())
    if not isinstance(told, dict) or any(type(told.get(name)) is not type(one) for name, one in defaults.items()):
        raise InputError(f"{rows.name}: what it says of its model is damaged. Export the index again.")
    return Fingerprint(**{name: told[name] for name in defaults})


def check_claim(rows: ReadyRows, dim: int, fields: ReadyFields, encoder: Encoder, progress: Progress) -> Claim:
    """Check that vectors are the model's own, by embedding some of the texts.

    Args:
        rows: The rows.
        dim: The length of their vectors.
        fields: What the columns are called.
        encoder: Of the model.
        progress: Told what came of it.

    Raises:
        InputError: When they are not, or there is nothing to compare.
    """
    import numpy as np

    check_text_column(rows.name, fields.text, rows.columns)
    name, own_dim = encoder.fingerprint.model, encoder.fingerprint.dim
    if dim != own_dim:
        raise InputError(
            f"{rows.name}: holds vectors of {dim} numbers, and those of {name} have {own_dim}. Name the model that "
            "made them with --model."
        )
    wanted = np.unique(np.linspace(0, max(0, rows.n_rows - 1), _COMPARED).astype(np.int64)).tolist()
    texts, given, places = [], [], []
    for block in rows.some(wanted, dim) if rows.n_rows else ():
        record = block.records[0]
        text = None if isinstance(record, str) else record.get(fields.text)
        if isinstance(record, str) or not isinstance(text, str) or not text.strip() or block.vectors is None:
            continue
        with np.errstate(over="ignore", invalid="ignore"):
            length = float(np.linalg.norm(block.vectors[0].astype(np.float64)))
        if np.isfinite(length) and length > 0:
            context = record.get(fields.context)
            texts.append(model_text(context if isinstance(context, str) else "", text))
            given.append(block.vectors[0] / length)
            places.append(block.places[0])
    if not texts:
        raise InputError(f"{rows.name}: no row of {len(wanted)} looked at has a text and a vector. Check its columns.")
    cosines = np.einsum("ij,ij->i", np.array(given), encoder.encode_passages(texts))
    median, n_far = float(np.median(cosines)), int((cosines < _NEAR).sum())
    worst = int(cosines.argmin())
    if median < _SAME or n_far > _MOST_FAR * len(texts):
        raise InputError(
            f"{rows.name}: these vectors are not those of {name} as it is used here (median cosine {median:.2f} of "
            f"{len(texts)} texts embedded to compare; the least is {cosines[worst]:.2f}, {places[worst]}). "
            "Name the model that made them with --model, its --passage-prompt, or what was embedded before the text "
            "with --context-field; or build an index of the texts."
        )
    n_other = int((cosines < _OTHER).sum())
    if n_other:
        raise InputError(
            f"{rows.name}: {n_other:,} of {len(texts)} vectors looked at are not those of their own texts (the least "
            f"cosine is {cosines[worst]:.2f}, {places[worst]}). Check that each row has its own vector, or build an "
            "index of the texts."
        )
    progress.note(f"the vectors are those of {name}: median cosine {median:.3f} of {len(texts)} texts embedded again")
    return Claim(len(texts), median)
