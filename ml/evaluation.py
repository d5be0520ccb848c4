"""What an evaluation reports: one row for each stage of each model, as a table and as JSON."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from analog_models.files import write_json
from analog_models.provenance import provenance

FOLDER = Path("build/eval")
SHIPPED, SMOLLM2 = "shipped small GPT", "SmolLM2-135M"


class Cost(NamedTuple):
    """What an adaptation took up to a stage; None where its record does not say."""

    tokens: int | None = None
    seconds: float | None = None


NOTHING = Cost(0, 0.0)  # of the teacher, and of the naive swap


class Row(NamedTuple):
    """Perplexity of one stage. tokens_used, wall_time_s: of the adaptation up to here."""

    model: str
    stage: str
    perplexity: float
    ratio_to_teacher: float
    tokens_used: int | None
    wall_time_s: float | None


def cost_of(run: dict[str, Any], stage: str, trained: Sequence[str] = ()) -> Cost:
    """What the record of an adaptation says that `stage` took, the stages before it included.

    The record has `rows` with a row of that stage, or `tokens_seen` and perhaps `seconds` for each
    of the stages `trained` so far, or `tokens_used` and `wall_time_s` of all.
    """
    for row in run.get("rows", ()):
        if row["stage"] == stage:
            return Cost(row["tokens_used"], row["wall_time_s"])
    if "tokens_used" in run:
        return Cost(run["tokens_used"], run.get("wall_time_s"))
    tokens, seconds = (_total(run.get(name, {}), trained) for name in ("tokens_seen", "seconds"))
    return Cost(None if tokens is None else int(tokens), seconds)


def _total(by_stage: dict[str, float], stages: Sequence[str]) -> float | None:
    if not stages or any(stage not in by_stage for stage in stages):
        return None
    return math.fsum(by_stage[stage] for stage in stages)


class Report:
    """Prints rows as they come, and holds them for result.json.

    `tokens`: predicted of each text set. The first row of a model must be its teacher.
    """

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.models: dict[str, dict[str, Any]] = {}
        self._started = time.perf_counter()

    def begin(self, model: str, **about: Any) -> None:
        """A model comes; `about` says what its rows were measured on and how."""
        self.models[model] = about
        print(f"\n{model}, {about['tokens']:,} held-out tokens in texts of {about['context']}")
        print(f"{'stage':26}{'perplexity':>12}  {'/teacher':>8}  {'tokens':>11}  {'seconds':>8}")
        self._started = time.perf_counter()

    def add(self, model: str, stage: str, perplexity: float, cost: Cost, label: str = "") -> None:
        """One stage was measured."""
        base = next((r.perplexity for r in self.rows if r.model == model), perplexity)
        row = Row(model, stage, perplexity, perplexity / base, *cost)
        self.rows.append(row)
        tokens, seconds = (
            "-" if x is None else f"{x:,.0f}" for x in (row.tokens_used, row.wall_time_s)
        )
        took = time.perf_counter() - self._started
        print(
            f"{label or stage:26}{perplexity:12.2f}  {row.ratio_to_teacher:8.3f}  {tokens:>11}"
            f"  {seconds:>8}   ({took:.0f} s)",
            flush=True,
        )

    def missing(self, label: str, why: str = "no file") -> None:
        """A stage cannot be measured."""
        print(f"{label:26}{why:>12}", flush=True)

    def write(self, path: Path, packages: Sequence[str], **about: Any) -> Path:
        """Write result.json with the provenance."""
        return write_json(
            path,
            {
                "rows": [row._asdict() for row in self.rows],
                "models": self.models,
                **about,
                **provenance(packages),
            },
        )
