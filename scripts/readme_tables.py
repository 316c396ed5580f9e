"""Writes the measured tables of README.md and docs/ from the raw results: python scripts/readme_tables.py [--check].

A table stands between two marks such as ``<!-- table query -->``, in whichever file people look for it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from scripts.model_tables import SETS, by_lang, models_cost_table, models_table, samples_table, transfer_table
from scripts.result_files import results, table

ROOT = Path(__file__).parent.parent


def chunking_table() -> str:
    """Return what the size of passages changes: a row a size, a column a set."""
    rows = [row for row in results("chunking")["results"] if row["overlap_sentences"] == 1]
    sets = list(dict.fromkeys(row["set"] for row in rows))
    by_place = {(row["max_tokens"], row["set"]): row for row in rows}
    sizes = [n for n in sorted({row["max_tokens"] for row in rows}) if all((n, name) in by_place for name in sets)]
    header = ["tokens", *(f"{name}: {column}" for name in sets for column in ("mean nDCG@10", "passages"))]
    found = {place: (f"{row['mean']:.3f}", f"{row['passages']:,}") for place, row in by_place.items()}
    return table(header, ([size, *(cell for name in sets for cell in found[size, name])] for size in sizes))


def embedding_table() -> str:
    """Return passages a second, ours and stock's: a row a language."""
    return table(
        ["passages", "stock", "ours", "ratio"],
        (
            [f"{row['lang']}: {row['passages']:,} of {row['mean_tokens']:.0f} tokens", *_rates(row, "int8")]
            for row in results("encode")["embedding"]
        ),
    )


def ingest_table() -> str:
    """Return passages a second from a file to a finished index, beside stock's embedding alone."""
    return table(
        ["corpus", "stock, embedding alone", "`tongues build`, all of it", "ratio", "`--no-sentences`", "ratio"],
        (
            [
                f"{row['corpus']}: {row['passages']:,} of {row['mean_tokens']:.0f} tokens",
                *_rates(row, "build"),
                *_rates(row, "build, no sentences")[1:],
            ]
            for row in results("encode")["ingest"]
        ),
    )


def _rates(row: dict[str, Any], ours: str) -> list[str]:
    rates = row["passages_per_second"]
    shown = [f"{rates[name]['median']:.0f}/s" for name in ("stock", ours)]
    return [*shown, f"{row['ratio_to_stock'][ours]:.1f}"]


_PLAIN = "question to passages, cosines alone"


def query_table() -> str:
    """Return what a question costs, ours and stock's."""
    record = results("query")
    cold, warm, n = record["cold"], record["warm"]["ms"], record["warm"]["passages"]
    ours, stock, first = cold["tongues search"], cold["stock"], record["prepare"]
    rows = [
        ["cold, whole process", *(f"{one['seconds']['median']:.2f} s" for one in (stock, ours))],
        ["cold, most memory", *(f"{one['peak_mb']:,} MB" for one in (stock, ours))],
        ["first use of all: preparing the model", "", f"{first['seconds']:.0f} s, {first['peak_mb']:,} MB"],
        ["`tongues --help`, whole process", "", f"{cold['tongues --help']['seconds']['median']:.2f} s"],
        ["warm, embedding alone", _times(warm["stock: encode"]), _times(warm["encode"])],
        [f"warm, embedding and search over {n:,}", *(_times(warm[f"{of}encode + search"]) for of in ("stock: ", ""))],
        [f"warm, question to passages over {n:,}, by their cosines alone", "", _times(warm[_PLAIN])],
        [f"warm, question to hits over {n:,}", "", _times(warm["question to hits"])],
    ]
    ratios = [ours["ratio_to_stock"], ours["peak_mb"] / stock["peak_mb"], None, None]
    ratios += [warm[of]["p50"] / warm[f"stock: {of}"]["p50"] for of in ("encode", "encode + search")]
    shown = [f"1/{1 / ratio:.1f}" if ratio else "" for ratio in [*ratios, None]]
    shown.append(f"{warm['question to hits']['p50'] / warm[_PLAIN]['p50']:.2f} of the line above")
    return table(["", "stock", "ours", "ratio"], ([*row, ratio] for row, ratio in zip(rows, shown, strict=True)))


def _times(figure: dict[str, float]) -> str:
    return f"{figure['p50']:.1f} ms (p95 {figure['p95']:.1f})"


def ingest_growth_table() -> str:
    """Return how a build grows."""
    return table(
        ["documents", "passages", "seconds", "passages/s", "most memory", "on disk"],
        (
            [
                f"{row['documents']:,}",
                f"{row['passages']:,}",
                f"{row['seconds']:,.0f}",
                f"{row['passages_per_second']:.0f}",
                f"{row['peak_mb']:,} MB",
                f"{row['disk_mb']:,.0f} MB",
            ]
            for row in results("encode")["sweep"]
        ),
    )


def query_growth_table() -> str:
    """Return how the search step grows."""
    return table(
        ["vectors", "kind", "p50", "p95", "recall@10", "made in", "opened in", "file"],
        (
            [
                f"{row['vectors']:,}",
                f"`{row['kind']}`",
                f"{row['p50_ms']:.2f} ms",
                f"{row['p95_ms']:.2f} ms",
                f"{row['recall@10']:.3f}",
                f"{row['build_seconds']:.1f} s",
                f"{row['open_ms']:.0f} ms",
                f"{row['index_mb']:,.1f} MB",
            ]
            for row in results("query")["sweep"]
        ),
    )


def scale_table() -> str:
    """Return what each kind of vector index costs as it grows, beside FAISS alone."""
    return table(
        [
            "vectors",
            "kind",
            "p50",
            "p95",
            "recall@10",
            "FAISS alone",
            "its recall@10",
            "made in",
            "opened, cold",
            "most memory",
            "file",
        ],
        (
            [
                f"{row['vectors']:,}",
                f"`{row['kind']}`",
                f"{row['ms']['ours']['p50']:.2f} ms",
                f"{row['ms']['ours']['p95']:.2f} ms",
                f"{row['recall@10']:.3f}",
                f"{row['ms']['faiss']['p50']:.2f} ms",
                f"{row['faiss_recall@10']:.3f}",
                f"{row['build_seconds']:,.0f} s",
                f"{row['open_cold_seconds']:.2f} s",
                f"{row['peak_mb']:,} MB",
                f"{row['index_mb']:,.0f} MB",
            ]
            for row in results("scale")["vectors"]["rows"]
        ),
    )


def updates_table() -> str:
    """Return what it costs to keep a large index up to date."""
    found = results("scale")["updates"]
    first = found.get("ingest")
    rows = [["first build", f"{first['seconds']:,.0f} s", "", f"{first['peak_mb']:,} MB"]] if first else []
    for name in ("nothing changed", "one file changed", "one file new", "one file gone", "built again, all known"):
        one = found[name]
        most = f"{one['max']:.1f} s of {len(one['values'])}" if len(one["values"]) > 1 else ""
        rows.append([name, f"{one['median']:.1f} s", most, f"{one['peak_mb']:,} MB"])
    return table(["whole process", "seconds", "longest", "most memory"], rows)


def serve_table() -> str:
    """Return what the server does with many questions at once, beside stock, and while its index is updated."""
    record = results("serve")
    names = [f"{record['questions']:,} questions, {record['clients']} at a time", "their p50", "one after the other"]
    figures = []
    for of in ("stock", "ours"):
        one, lone = record["loaded"][of], record["lone_ms"][of]["kept connection"]
        rate = f"{one['per_second']:.0f}/s, {one['errors']} errors"
        figures.append([rate, f"{one['p50_ms']:.0f} ms (p95 {one['p95_ms']:.0f})", _times(lone)])
    during = "{answers:,} answers, {errors} errors, {updates} updates".format(**record["while_updated"])
    lines = list(zip(names, *figures, [f"{record['ratio_to_stock']:.1f}", "", ""], strict=True))
    return table(["", "stock", "ours", "ratio"], [*map(list, lines), ["while it is updated", "", during, ""]])


def precision_table() -> str:
    """Return what each precision finds, and how near its vectors are."""
    by_place = {(row["encoder"], row["set"]): row for row in results("precision")["results"]}
    return table(
        ["computed by", "mixed: mean nDCG@10", "parallel: mean mAP@100", "mean cosine"],
        (
            [
                name,
                f"{by_place[name, 'mixed']['mean ndcg@10']:.4f}",
                f"{by_place[name, 'parallel']['mean map@100']:.4f}",
                _cosine(by_place[name, "mixed"]),
            ]
            for name in dict.fromkeys(encoder for encoder, _ in by_place)
        ),
    )


def _cosine(row: dict[str, Any]) -> str:
    return f"{row['mean_cosine']:.4f}" if "mean_cosine" in row else ""


def ranking_table() -> str:
    """Return what each part of the ranking is worth: a row a variant, a column a set."""
    rows = results("ranking")["variants"]
    by_place = {(row["variant"], row["set"]): row for row in rows}
    langs = [lang for lang, found in rows[0].items() if isinstance(found, dict) and "ndcg@10" in found]
    header = ["", *(f"{name}: {shown} ({' '.join(langs[:-1])})" for name, (shown, _) in SETS.items())]
    return table(
        header,
        (
            [name, *(by_lang(by_place[name, of_set], langs, measure) for of_set, (_, measure) in SETS.items())]
            for name in dict.fromkeys(row["variant"] for row in rows)
        ),
    )


def sensitivity_table() -> str:
    """Return what changes with each number of the ranking alone."""
    record = results("ranking")
    rows = record["sensitivity"]
    of_default = {row["set"]: row for row in record["variants"] if row["variant"] == "all (the default)"}
    lines = []
    for number, default in record["defaults"].items():
        for value in sorted({default, *(row["value"] for row in rows if row["number"] == number)}):
            found = {row["set"]: row for row in rows if (row["number"], row["value"]) == (number, value)} or of_default
            measured = [f"{found[name]['mean'][measure]:.4f}" for name, (_, measure) in SETS.items()]
            lines.append([f"`{number}`", f"**{value}**" if value == default else value, *measured])
    return table(["number", "value", *(f"{name}: mean {shown}" for name, (shown, _) in SETS.items())], lines)


def languages_table() -> str:
    """Return how often the language of a text is told right: a row a kind of text, a column a language."""
    rows = results("languages")["rows"]
    langs = ["te", "fa", "lt", "ur", "en"]
    return table(
        ["text", *langs],
        (
            [name, *(f"{row['right'][lang]:.3f}" if lang in row["n"] else "" for lang in langs)]
            for name, row in rows.items()
        ),
    )


def own_language_table() -> str:
    """Return what part of the first passages is in the question's language: a row a way of ranking."""
    rows = results("limits")["own_language"]
    langs = [lang for lang in next(iter(rows.values())) if lang != "en"]  # no passage is English
    return table(["", *langs], ([name, *(f"{row[lang]:.2f}" for lang in langs)] for name, row in rows.items()))


def best_scores_table() -> str:
    """Return how high the best scores of questions are, where the answer is and where it is not."""
    rows = results("limits")["best_scores"]
    shares = list(rows["mixed"])
    return table(
        ["best score of a question to an index", *(f"{float(share):.0%} are below" for share in shares)],
        (
            [name, *(f"{rows[of][share]:.2f}" for share in shares)]
            for name, of in (("that answers it (`mixed`)", "mixed"), ("that does not (`parallel`)", "parallel"))
        ),
    )


_TABLE = re.compile(r"<!-- table ([\w-]+) -->\n.*?<!-- table \1 -->", re.DOTALL)
TABLES = {
    "chunking": chunking_table,
    "embedding": embedding_table,
    "ingest": ingest_table,
    "query": query_table,
    "ingest-growth": ingest_growth_table,
    "query-growth": query_growth_table,
    "scale": scale_table,
    "updates": updates_table,
    "languages": languages_table,
    "models": models_table,
    "models-cost": models_cost_table,
    "own-language": own_language_table,
    "best-scores": best_scores_table,
    "serve": serve_table,
    "precision": precision_table,
    "ranking": ranking_table,
    "samples": samples_table,
    "transfer": transfer_table,
    "sensitivity": sensitivity_table,
}


def filled(text: str) -> tuple[str, list[str]]:
    """Return a page with its tables as the results have them, and the names of these tables.

    Raises:
        click.ClickException: For a mark without its second one, or of a table that is not known.
    """
    names: list[str] = []

    def made(match: re.Match[str]) -> str:
        names.append(match[1])
        if match[1] not in TABLES:
            raise click.ClickException(f"no table is called {match[1]!r}; known are {', '.join(TABLES)}.")
        mark = f"<!-- table {match[1]} -->"
        return f"{mark}\n{TABLES[match[1]]()}\n{mark}"

    text = _TABLE.sub(made, text)
    if len(re.findall("<!-- table ", text)) != 2 * len(names):
        raise click.ClickException("a mark of a table stands alone; it needs the same mark after the table.")
    return text, names


@click.command()
@click.option("--check", is_flag=True, help="Change nothing; exit with status 1 when a page is not up to date.")
def main(check: bool) -> None:
    """Put every table between its marks in README.md and docs/."""
    found: list[str] = []
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        before = path.read_text("utf-8")
        text, names = filled(before)
        found += names
        if check and text != before:
            raise click.ClickException(
                f"{path.relative_to(ROOT)}: a table differs from its results. Run: python scripts/readme_tables.py"
            )
        if text != before:
            path.write_text(text, "utf-8")
    if sorted(found) != sorted(TABLES):
        raise click.ClickException(f"each table stands in one place; these do: {', '.join(sorted(found))}.")


if __name__ == "__main__":
    main()
