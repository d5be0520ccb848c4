"""The main figures of the page, and what kind of number each of them is."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from estimate.published import CUT_OFF, ROUNDING, gpu_title
from estimate.report.sources import Source
from estimate.report.wording import Mark, count, percent, shown

__all__ = ["KINDS", "Card", "cards", "mismatches", "verdict"]

Tree = Mapping[str, Any]
KINDS = {
    Mark("measured"): "a command of this project took it from the RTL, from gates or from a model",
    Mark("predicted"): "computed from lower-level parameters; no published figure of the row, and "
    "none computed from it, went in",
    Mark("calibrated"): "a published figure went in, so it comes back out: it shows nothing",
    Mark("assumed"): "our choice, with its reason in the table of parameters",
    Mark("published"): "somebody else's, with its source",
}


class Card(NamedTuple):
    """One main figure: its value, what it is, of which kinds, a remark, and where more is said."""

    value: str
    label: str
    kinds: Sequence[str]
    remark: str
    section: str


def mismatches(sources: Mapping[str, Source]) -> int | None:
    """Output codes that differ from the golden ones, in all checks; None if none was run."""
    results = [s.result for name in ("verify", "sim") if (s := sources[name]).result is not None]
    if not results:
        return None
    return sum(r["mismatches"] + r.get("numpy_mismatches", 0) for r in results)


def cards(
    tree: Tree, sources: Mapping[str, Source], perplexities: Sequence[Tree], of_paper: bool
) -> list[Card]:
    """All of them, in the order of the page.

    tree: of `Estimate.to_tree`. of_paper: of the preset whose phases were chosen to give the
    published latency.
    """
    return [
        _golden(sources),
        _cycles(tree, of_paper),
        *_costs(tree),
        *_beyond(tree, of_paper),
        *_quality(perplexities),
    ]


def _golden(sources: Mapping[str, Source]) -> Card:
    wrong = mismatches(sources)
    if wrong is None:
        return Card("not run", "golden check", (), "make verify runs it", "check")
    found = [(s.command, s.result) for n in ("verify", "sim") if (s := sources[n]).result]
    tokens = " and ".join(f"{count(r['head_tokens'])} ({c})" for c, r in found)
    label = "codes of the RTL that differ from the golden ones"
    return Card(count(wrong), label, [Mark("measured")], f"head-tokens: {tokens}", "check")


def _cycles(tree: Tree, of_paper: bool) -> Card:
    heads = tree["heads"]
    latencies, periods = (
        " / ".join(str(head["cycles"][key]) for head in heads.values())
        for key in ("latency", "between")
    )
    remark = f"{' / '.join(heads)}; from token to token {periods}"
    kinds = [Mark("measured")]
    if of_paper:
        kinds.append(Mark("calibrated"))
        published = shown(next(iter(heads.values()))["latency_s"], "s")
        remark += f". The phases of the first were chosen to give the published {published}"
    return Card(latencies, "clock cycles a token", kinds, remark, "cycles")


def _costs(tree: Tree) -> Iterator[Card]:
    name, head = next(iter(tree["heads"].items()))
    ours, theirs = (head["energy_j"][basis]["value"] for basis in ("synthesis", "published"))
    yield Card(
        shown(ours, "J"),
        "energy of a token and head",
        [Mark("predicted"), Mark("calibrated")],
        f"{name}; the first product is calibrated. With the published digital part instead of our "
        f"gates {shown(theirs, 'J')}",
        "energy",
    )
    area = head["area_m2"]["value"]
    yield Card(shown(area, "m2"), "area of a head", [Mark("predicted")], name, "area")


def _beyond(tree: Tree, of_paper: bool) -> Iterator[Card]:
    last = tree["gpus"][-1]
    stated = next(
        (r for r in tree["published"] if r["name"].endswith(gpu_title(last["gpu"]))), None
    )
    claim = f"; the paper says × {count(stated['published'])}" if stated else ""
    yield Card(
        f"× {count(last['speed_up_over_roofline'])}",
        f"faster than an {gpu_title(last['gpu'])} at its memory bandwidth, attention alone",
        [Mark("calibrated" if of_paper else "predicted")],
        f"12 heads, 1,024 tokens, beside the least time that the GPU can take{claim}",
        "gpus",
    )
    rows = [
        r for r in tree["systems"]["models"] if r["model"] == tree["systems"]["models"][0]["model"]
    ]
    shares = [row["decode_s"]["attention"] / row["step_s"] for row in rows]
    yield Card(
        f"{percent(min(shares))} to {percent(max(shares))}",
        f"of a token's time is attention, in {rows[0]['model']}",
        [Mark("assumed")],
        "by the engine that does the rest: weights from DRAM, or in place",
        "systems",
    )


def _quality(perplexities: Sequence[Tree]) -> Iterator[Card]:
    own = [row for row in perplexities if row["model"] == perplexities[0]["model"]]
    adapted = [row for row in own if "adapted" in row["stage"]]
    if adapted:
        last = adapted[-1]
        yield Card(
            f"{last['ratio_to_teacher']:.3f} ×",
            "the softmax teacher's perplexity, after adaptation",
            [Mark("measured")],
            f"{last['model']}: {last['perplexity']:.2f}, teacher {own[0]['perplexity']:.2f}, on "
            f"{count(last['tokens'] or 0)} held-out tokens",
            "perplexity",
        )


def verdict(tree: Tree) -> dict[str, Any]:
    """How many published figures are predicted, within their tolerance, and calibrated."""
    rows = tree["published"]
    predicted = [row for row in rows if not row["calibrated"]]
    circuits = tree["circuits"].values()
    remarks = [item["remark"] for item in tree["consistency"]]
    return {
        "rows": len(rows),
        "predicted": len(predicted),
        "predicted_within": sum(row["within"] for row in predicted),
        "calibrated": len(rows) - len(predicted),
        "off": [row["name"] for row in rows if not row["within"]],
        "parameters": len(tree["circuits"]),
        "assumed": sum(q["source"].startswith("assumption") for q in circuits),
        "solved": sum(bool(q["calibrated_on"]) for q in circuits),
        "contradictions": sum(remark not in (ROUNDING, CUT_OFF) for remark in remarks),
        "cut_off": remarks.count(CUT_OFF),
    }
