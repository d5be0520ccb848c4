"""Tables beside others' figures: the paper's, GPUs, whole models, peers, perplexity."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from estimate.report.sources import Source
from estimate.report.table import View
from estimate.report.wording import EMPTY, Mark, count, ratio, tidy
from estimate.tables import (
    COMMAND,
    CONSISTENCY,
    GPUS,
    PEERS,
    PUBLISHED,
    SYSTEM,
    Cell,
    Column,
    view,
)

__all__ = ["comparison_tables", "perplexity_rows", "perplexity_table", "system_tables"]

Tree = Mapping[str, Any]
PLAIN = ("model", "engine", "schedule")  # names that need no word before them
PACKAGES = ("common", "analog_models", "cosim", "estimate", "hdl", "ml")  # of this project
SHIPPED, HELDOUT = "shipped small GPT", "heldout"  # as `make eval` calls them


def comparison_tables(tree: Tree) -> Iterator[View]:
    """The paper's figures, the paper against itself, GPUs, peers, parameters."""
    caption = "The paper's figures and ours"
    yield view("published", caption, PUBLISHED, tree["published"], COMMAND)
    caption = "The paper against itself: figures that should give the same"
    yield view("consistency", caption, CONSISTENCY, tree["consistency"], COMMAND)
    caption = "A token's attention on GPUs, 12 heads, 1,024 tokens of 16-bit keys and values"
    yield view("gpus", caption, GPUS, tree["gpus"], COMMAND)
    caption = "Published systems beside this project's head"
    yield view("peers", caption, PEERS, tree["peers"], COMMAND)
    yield _circuits(tree)


def _circuits(tree: Tree) -> View:
    rows = []
    for name, quantity in tree["circuits"].items():
        source, calibrated = quantity["source"], quantity["calibrated_on"]
        rest = f"; chosen to give the {calibrated}" if calibrated else ""
        kind = "calibrated" if calibrated else _kind(source)
        text = source.removeprefix("assumption").removeprefix(": ")
        rows.append([name, f"{quantity['value']:.4g}", Mark(kind), tidy(text) + rest])
    header = ["parameter, SI units", "value", "kind", "source"]
    return View("circuits", "Parameters of the circuits", header, rows, COMMAND)


def _kind(source: str) -> str:
    """Of a parameter: a source of this project begins with the name of its package."""
    if source.startswith("assumption"):
        return "assumed"
    return "measured" if source.partition(".")[0] in PACKAGES else "published"


def system_tables(tree: Tree) -> Iterator[View]:
    """Whole models: by engine, schedule, batch and length."""
    captions = {
        "models": "Every model on every engine",
        "schedules": "By schedule",
        "batches": "By batch",
        "lengths": "By length of the text, with a sliding window and without",
    }
    for name, caption in captions.items():
        cases = [_case(row) for row in tree["systems"][name]]
        varied = [key for key in cases[0] if len({case[key] for case in cases}) > 1]
        fixed = [
            of if key in PLAIN else f"{key} {of}"
            for key, of in cases[0].items()
            if key not in varied
        ]
        asked = [Column(None, key, lambda case, key=key: Cell("", case[key])) for key in varied]
        both = [{**row, **case} for case, row in zip(cases, tree["systems"][name], strict=True)]
        caption += f": {', '.join(fixed)}"
        yield view(f"systems-{name}", caption, [*asked, *SYSTEM], both, COMMAND)


def _case(row: Tree) -> dict[str, str]:
    """What is asked of a system."""
    named = {key: row[key] for key in PLAIN}
    counts = {"tokens": "length", "window": "window", "batch": "batch"}
    return named | {name: count(row[key]) for name, key in counts.items()}


def perplexity_rows(sources: Mapping[str, Source]) -> list[dict[str, Any]]:
    """model, stage, perplexity, ratio_to_teacher, tokens and from: what `make eval` found here.

    Models that it did not evaluate here come from the record that ships, and so do those that it
    evaluated on other text than the held-out one.
    """
    rows = []
    if evaluation := sources["evaluation"].result:
        for row in evaluation["rows"]:
            if row.get("text", HELDOUT) != HELDOUT:
                continue
            tokens = evaluation["models"].get(row["model"], {}).get("tokens")
            rows.append({**row, "tokens": tokens, "from": "make eval, here"})
    record = sources["record"].result
    if record and not any(row["model"] == SHIPPED for row in rows):
        found = {stage: value for stage, value in record["perplexity"].items() if value is not None}
        shipped = [
            {
                "model": SHIPPED,
                "stage": stage,
                "perplexity": value,
                "ratio_to_teacher": value / found["teacher"],
                "tokens": record["tokens"],
                "from": "model card, shipped",
            }
            for stage, value in found.items()
        ]
        rows = shipped + rows
    return rows


def perplexity_table(rows: Sequence[Tree]) -> View:
    """Of `perplexity_rows`."""
    cells = [
        [
            row["stage"],
            row["model"],
            f"{row['perplexity']:,.2f}",
            ratio(row["ratio_to_teacher"]),
            EMPTY if row["tokens"] is None else count(row["tokens"]),
            row["from"],
        ]
        for row in rows
    ]
    header = ["stage", "model", "perplexity", "of the teacher's", "held-out tokens", "from"]
    return View("perplexity", "Perplexity on held-out text", header, cells, "make eval")
