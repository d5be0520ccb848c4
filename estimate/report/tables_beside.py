"""Tables beside others' figures: the paper's, GPUs, whole models, peers, perplexity."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from estimate.published import gpu_title
from estimate.report.sources import Source
from estimate.report.table import View
from estimate.report.text import EMPTY, Mark, count, percent, ratio, shown, tidy

__all__ = ["comparison_tables", "perplexity_rows", "perplexity_table", "system_tables"]

Tree = Mapping[str, Any]
COMMAND = "make estimate"
PLAIN = ("model", "engine", "schedule")  # names that need no word before them
PACKAGES = ("common", "analog_models", "cosim", "estimate", "hdl", "ml")  # of this project
SHIPPED, HELDOUT = "shipped small GPT", "heldout"  # as `make eval` calls them


def comparison_tables(tree: Tree) -> Iterator[View]:
    """The paper's figures, the paper against itself, GPUs, peers, parameters."""
    yield _published(tree)
    yield _consistency(tree)
    yield _gpus(tree)
    yield _peers(tree)
    yield _circuits(tree)


def _published(tree: Tree) -> View:
    rows = [
        [
            row["name"],
            shown(row["ours"], row["unit"]),
            shown(row["published"], row["unit"]),
            ratio(row["ratio"]),
            percent(row["tolerance"]),
            Mark("calibrated" if row["calibrated"] else "predicted"),
            "yes" if row["within"] else "no",
            row["how"],
        ]
        for row in tree["published"]
    ]
    header = ["figure", "ours", "published", "ratio", "tolerance", "ours is", "within", "how"]
    return View("published", "The paper's figures and ours", header, rows, COMMAND)


def _consistency(tree: Tree) -> View:
    rows = [
        [
            item["name"],
            shown(item["stated"], item["unit"]),
            shown(item["computed"], item["unit"]),
            ratio(item["ratio"]),
            tidy(item["arithmetic"]),
            item["remark"],
        ]
        for item in tree["consistency"]
    ]
    header = ["figure", "stated", "computed", "ratio", "arithmetic", "remark"]
    caption = "The paper against itself: figures that should give the same"
    return View("consistency", caption, header, rows, COMMAND)


def _gpus(tree: Tree) -> View:
    rows = [
        [
            gpu_title(row["gpu"]),
            shown(row["roofline_s"], "s"),
            row["bound_by"],
            shown(row.get("measured_s"), "s"),
            percent(row.get("share_of_roofline")),
            shown(row.get("measured_j"), "J"),
            f"{row['measured_w']:.3g} of {row['board_w']:g} W" if "measured_w" in row else EMPTY,
            f"{row['speed_up_over_roofline']:,.0f}",
        ]
        for row in tree["gpus"]
    ]
    header = [
        "GPU",
        "roofline",
        "bound by",
        "published time",
        "of the roofline",
        "published energy",
    ]
    header += ["power", "gain cells faster than the roofline, times"]
    caption = "A token's attention on GPUs, 12 heads, 1,024 tokens of 16-bit keys and values"
    return View("gpus", caption, header, rows, COMMAND)


def _peers(tree: Tree) -> View:
    def cell(row: Tree, key: str, scale: float) -> str:
        return f"{row[key] / scale:,.3g}" if key in row else EMPTY

    rows = [
        [
            row["name"],
            row["what"],
            EMPTY if row["node_nm"] is None else str(row["node_nm"]),
            row["evidence"],
            cell(row, "op_per_s_w", 1e12),
            cell(row, "op_per_s_m2", 1e18),
            shown(row.get("query_j"), "J"),
            shown(row.get("query_s"), "s"),
            tidy(row.get("note", "")),
            "this report" if row["source"] == "estimate" else row["source"],
        ]
        for row in tree["peers"]
    ]
    header = ["system", "what it does", "node, nm", "evidence", "10¹² op/s/W", "10¹² op/s/mm²"]
    header += ["energy of a query", "time of a query", "remark", "source"]
    return View("peers", "Published systems beside this project's head", header, rows, COMMAND)


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
        cells = [
            [*(case[key] for key in varied), *_system(row).values()]
            for case, row in zip(cases, tree["systems"][name], strict=True)
        ]
        header = [*varied, *_system(tree["systems"][name][0])]
        caption += f": {', '.join(fixed)}"
        yield View(f"systems-{name}", caption, header, cells, COMMAND)


def _case(row: Tree) -> dict[str, str]:
    """What is asked of a system."""
    named = {key: row[key] for key in PLAIN}
    counts = {"tokens": "length", "window": "window", "batch": "batch"}
    return named | {name: count(row[key]) for name, key in counts.items()}


def _system(row: Tree) -> dict[str, str]:
    """What it takes."""
    return {
        "time of a step": shown(row["step_s"], "s"),
        "of it attention": percent(row["decode_s"]["attention"] / row["step_s"]),
        "energy of a token": shown(row["token_j"], "J"),
        "attention's share": percent(row["decode_j"]["attention"] / row["token_j"]),
        "prefill": shown(row["prefill_s"], "s"),
        "chips": count(row["chips"]),
        "retention needed": shown(row["tau_needed_s"], "s"),
        "H100 roofline, step": shown(row["gpu_step_s"], "s"),
        "its token": shown(row["gpu_token_j"], "J"),
    }


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
