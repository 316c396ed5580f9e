"""The tables of what models find, by themselves and as they are asked by default."""

from __future__ import annotations

from typing import Any

from scripts.result_files import results, table

SETS = {"mixed": ("nDCG@10", "ndcg@10"), "parallel": ("mAP@100", "map@100")}
"""What counts on each set, as people and as reports write it."""


def by_lang(row: dict[str, Any], langs: list[str], measure: str) -> str:
    """Return a mean and, in brackets, the measure of each language."""
    *each, mean = (f"{row[lang][measure]:.3f}" for lang in langs)
    return f"**{mean}** ({' '.join(each)})"


_MODES = {"hybrid": "", "dense": ", by meaning alone", "lexical": ", by words alone"}
"""What stands behind a model's name when it is not asked as by default."""


def models_table() -> str:
    """Return what models find: a row a model and way of asking it, a column a set."""
    models = results("models")["models"]
    models = {name: row for name, row in models.items() if "mixed" in row.get("sets", {})}
    langs = list(next(iter(models.values()))["sets"]["mixed"]["hybrid"])
    header = ["", *(f"{name}: {shown} ({' '.join(langs[:-1])})" for name, (shown, _) in SETS.items())]
    return table(
        header,
        (
            [f"{name}{told}", *(by_lang(row["sets"][of][mode], langs, measure) for of, (_, measure) in SETS.items())]
            for name, row in models.items()
            for mode, told in _MODES.items()
            if mode in row["sets"]["mixed"]
        ),
    )


def models_cost_table() -> str:
    """Return what models are and cost: a row a model; times and their ratios to the first once they are measured."""
    models = {name: row for name, row in results("models")["models"].items() if "mixed" in row.get("sets", {})}
    timed = all("times" in row for row in models.values())
    lines = []
    for name, row in models.items():
        line = [name, row["dim"], f"{row['max_tokens']:,} tokens", f"{row['files_mb']:,.0f} MB"]
        line += [f"{row['sets'][of_set]['passages']:,}" for of_set in SETS]
        if timed:
            times = row["times"]
            line += [f"{times['passages_per_second']:.0f}/s ({times['passages_ratio']:.2f})"]
            line += [f"{times['query_ms']:.1f} ms ({times['query_ratio']:.2f})"]
        lines.append(line)
    header = ["model", "numbers", "reads", "files", *(f"passages of `{name}`" for name in SETS)]
    return table([*header, *(["passages (ratio)", "a question (ratio)"] if timed else [])], lines)


def samples_table() -> str:
    """Return how the sample questions are answered: a row a language of the question, columns for each model."""
    models = {
        name: row["sets"]["samples"]["hybrid"]
        for name, row in results("models")["models"].items()
        if "samples" in row.get("sets", {})
    }
    header = ["question in", "questions"]
    header += [column for name in models for column in (f"{name}: nDCG@10", "right at 1 / 3 / 10")]
    lines = []
    for lang, first in next(iter(models.values())).items():
        line = [lang, first["n"]]
        for found in models.values():
            right = " / ".join(f"{found[lang][f'success@{k}']:.2f}" for k in (1, 3, 10))
            line += [f"{found[lang]['ndcg@10']:.3f}", right]
        lines.append(line)
    return table(header, lines)


def transfer_table() -> str:
    """Return what is found in domains and languages without training: a row a set and language, a column a model."""
    models = {
        name: row["sets"] for name, row in results("models")["models"].items() if "held-out" in row.get("sets", {})
    }
    shown = {"held-out": "farming, letters", "other-west": "others, west", "other-east": "others, east"}
    lines = []
    for of_set, told in shown.items():
        for lang in next(iter(models.values()))[of_set]["hybrid"]:
            lines.append([told, lang, *(f"{sets[of_set]['hybrid'][lang]['ndcg@10']:.3f}" for sets in models.values())])
    return table(["set", "question in", *models], lines)
