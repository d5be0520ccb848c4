"""What an evaluation reports: a row for each model, stage and kind of text, printed and as JSON."""

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from analog_models.spec import DEFAULT_PRESET
from common.files import write_json
from common.provenance import provenance

FOLDER = Path("build/eval")
SHIPPED, SMOLLM2 = "shipped small GPT", "SmolLM2-135M"
TEACHER = "teacher"  # the stage that others are compared with
HELDOUT = "heldout"  # the kind of text that the project's own held-out text is


class Cost(NamedTuple):
    """What an adaptation took up to a stage; None where its record does not say."""

    tokens: int | None = None
    seconds: float | None = None


NOTHING = Cost(0, 0.0)  # of the teacher, and of the naive swap


class Row(NamedTuple):
    """Perplexity of one stage on one kind of text, and its ratio to the teacher's on the same; None
    where the teacher is not known.

    preset: the hardware. tokens_used, wall_time_s: of the adaptation up to here.
    """

    model: str
    preset: str
    stage: str
    text: str
    perplexity: float
    ratio_to_teacher: float | None
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

    preset: name of the hardware. The first row of a model on a kind of text is its teacher's, if
    that is there.
    """

    def __init__(self, preset: str = DEFAULT_PRESET) -> None:
        self.preset = preset
        self.rows: list[Row] = []
        self.models: dict[str, dict[str, Any]] = {}
        self._started = time.perf_counter()

    def begin(self, model: str, **about: Any) -> None:
        """A model comes; `about` says what its rows were measured on and how.

        tokens: predicted of all its texts, each of `context` tokens; texts: of each kind of text
        that is not the held-out one, its file, SHA-256 and tokens.
        """
        self.models[model] = about
        what = f"tokens of {', '.join(about['texts'])}" if "texts" in about else "held-out tokens"
        print(f"\n{model}, {about['tokens']:,} {what} in texts of {about['context']}")
        kind = f"{'text':12}" if "texts" in about else ""
        head = f"{'perplexity':>12}  {'/teacher':>8}  {'tokens':>11}  {'seconds':>8}"
        print(f"{'stage':26}{kind}{head}")
        self._started = time.perf_counter()

    def add(
        self,
        model: str,
        stage: str,
        perplexity: float,
        cost: Cost,
        label: str = "",
        text: str = HELDOUT,
    ) -> None:
        """One stage was measured on one kind of text."""
        same = [r for r in self.rows if (r.model, r.text) == (model, text)]
        teacher = [r.perplexity for r in same[:1] if r.stage == TEACHER]
        base = perplexity if stage == TEACHER else teacher[0] if teacher else None
        row = Row(model, self.preset, stage, text, perplexity, base and perplexity / base, *cost)
        self.rows.append(row)
        tokens, seconds = (
            "-" if x is None else f"{x:,.0f}" for x in (row.tokens_used, row.wall_time_s)
        )
        ratio = "-" if row.ratio_to_teacher is None else f"{row.ratio_to_teacher:.3f}"
        kind = f"{text:12}" if "texts" in self.models[model] else ""
        took = time.perf_counter() - self._started
        print(
            f"{label or stage:26}{kind}{perplexity:12.2f}  {ratio:>8}"
            f"  {tokens:>11}  {seconds:>8}   ({took:.0f} s)",
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
