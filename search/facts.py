"""What an index says of itself, as people read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from index.manifest import Manifest, Segment


def facts(manifest: Manifest) -> list[tuple[str, str]]:
    """Return what an index holds and how it was made: labels and texts."""
    counts, encoder, precision = manifest.counts, manifest.encoder, manifest.encoder.precision
    chunking = manifest.settings.get("chunking", {})
    kinds = ", ".join(f"{kind} {n:,}" for kind, n in counts.left_out.items())
    return [
        ("documents", f"{counts.documents:,}"),
        ("passages", f"{counts.passages:,}"),
        ("languages", ", ".join(f"{lang} {n:,}" for lang, n in counts.languages.items())),
        ("repeated", f"{counts.duplicates:,} passages stand in more than one place and are indexed once"),
        ("left out", f"{sum(counts.left_out.values()):,} lines" + (f" ({kinds}; see --left-out)" if kinds else "")),
        ("not read", f"{counts.rejected:,} files or records" + (" (see --rejected)" if counts.rejected else "")),
        ("model", f"{encoder.model}: {encoder.dim} numbers a vector, reads {encoder.max_tokens} tokens, {precision}"),
        ("prompts", f"query {encoder.query_prompt!r}, passage {encoder.passage_prompt!r}"),
        ("chunking", ", ".join(f"{name} {value}" for name, value in chunking.items())),
        ("sentences", f"{counts.sentences:,} with a vector of their own"),
        ("vectors", manifest.metric),
        ("kept in", f"{manifest.store}, {manifest.collection}" if manifest.store else "files"),
        ("segments", "; ".join(map(_segment, manifest.segments)) + f"; {manifest.dead:,} passages dead"),
        ("balance", f"{manifest.balance:.0%} of the languages' offsets: {told_fitted(manifest)}"),
        ("size", f"{sum(record.size for record in manifest.files.values()) / 1e6:,.1f} MB"),
        ("created", f"{manifest.created} by version {manifest.tool_version}"),
        ("sources", ", ".join(manifest.sources)),
    ]


def _segment(segment: Segment) -> str:
    """Return what is in a segment, in words."""
    found = segment.recall.get("recall")
    measured = f" that finds {found:.1%} of what exact search finds" if isinstance(found, float) else ""
    return f"{segment.rows:,} passages in {segment.numbers}, vector index {segment.kind}{measured}"


def told_fitted(manifest: Manifest) -> str:
    """Return what the balance of languages is fitted from, as people read it."""
    by_origin: dict[str, list[str]] = {}
    for lang, origin in manifest.fitted_from.items():
        by_origin.setdefault(origin, []).append(lang)
    parts = [f"{', '.join(langs)} from {origin}" for origin, langs in by_origin.items() if origin != "nothing"]
    return "; ".join(parts) or "one language: nothing to balance"
