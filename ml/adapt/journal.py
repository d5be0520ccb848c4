"""What a run tells: JSON lines, TensorBoard, and a line that moves.

`log.jsonl` is the truth. It is cut back to where a killed run takes up again, and TensorBoard's
files are written anew from it, so that a run in pieces tells the same as one in a piece.
"""

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

from torch.utils.tensorboard.writer import SummaryWriter
from tqdm import tqdm

from common.errors import ArtefactError, shown
from common.files import read_text, write_text
from common.strict_json import parse_json
from ml.evaluate.perplexity import perplexity_of
from ml.train.loop import write_log

LOG_FILE, TENSORBOARD = "log.jsonl", "tensorboard"
CURVES = ("train_loss", "validation_loss", "divergence", "surprise", "stream")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """Every record of the log in `folder`, in order; none where there is no log.

    Raises ArtefactError for a line that is no record.
    """
    path = folder / LOG_FILE
    if not path.exists():
        return []
    whole = read_text(path).rpartition("\n")[0]  # a kill may leave half a line
    return [
        _record(line, f"{path}: line {i}") for i, line in enumerate(whole.split("\n"), 1) if line
    ]


def _record(line: str, where: str) -> dict[str, Any]:
    record = parse_json(line, where)
    if not isinstance(record, dict) or not isinstance(record.get("stage"), str):
        raise ArtefactError(f"{where}: {shown(record)} is no record of a stage")
    return record


class Journal:
    """Log of one training stage, from `step` on; a context.

    `tokens_per_step`: of all ranks. A `silent` one, of another rank than the first, does nothing.
    """

    def __init__(
        self, folder: Path, stage: str, steps: int, step: int, tokens_per_step: int, silent: bool
    ) -> None:
        self.folder, self.stage, self.silent = folder, stage, silent
        self.steps, self.step, self.tokens_per_step = steps, step, tokens_per_step

    def __enter__(self) -> "Journal":
        if self.silent:
            return self
        records = [r for r in read_log(self.folder) if not self._is_ahead(r)]
        write_text(self.folder / LOG_FILE, "".join(json.dumps(r) + "\n" for r in records))
        scalars = self.folder / TENSORBOARD / self.stage
        shutil.rmtree(scalars, ignore_errors=True)
        self._writer = SummaryWriter(str(scalars))
        for record in records:
            if record["stage"] == self.stage:
                self._plot(record)
        self._line = tqdm(
            desc=self.stage,
            total=self.steps * self.tokens_per_step,
            initial=self.step * self.tokens_per_step,
            unit=" tokens",
            unit_scale=True,
            mininterval=0.5 if sys.stderr.isatty() else 60.0,
            dynamic_ncols=True,
        )
        return self

    def __exit__(self, *_: object) -> None:
        if not self.silent:
            self._line.close()
            self._writer.close()

    def _is_ahead(self, record: dict[str, Any]) -> bool:
        """Whether a record is of a step that will come again, or of a stage to be repeated."""
        return record["stage"] == self.stage and (
            record.get("step", math.inf) > self.step or self.step == 0
        )

    def report(self, record: dict[str, Any]) -> None:
        """Note a record of `ml.train.loop.fit`, with whatever details were added to it."""
        if self.silent:
            return
        tokens = record["step"] * self.tokens_per_step
        record = {"stage": self.stage, "tokens": tokens, **record}
        write_log(self.folder / LOG_FILE, record)
        self._plot(record)
        if "validation_loss" in record:
            tqdm.write(
                f"{self.stage:10} step {record['step']:6d}/{self.steps}  tokens {tokens:11,}"
                f"  validation perplexity {perplexity_of(record['validation_loss']):12.2f}",
                file=sys.stdout,
            )
            sys.stdout.flush()
        if "train_loss" in record:
            self._line.set_postfix(loss=f"{record['train_loss']:.4f}", refresh=False)
            self._line.update(self.tokens_per_step)

    def _plot(self, record: dict[str, Any]) -> None:
        """Hand a record to TensorBoard; the tokens seen are its steps."""
        for name in CURVES:
            if name in record:
                self._writer.add_scalar(name, record[name], record["tokens"])
        for i, error in enumerate(record.get("layers", [])):
            self._writer.add_scalar(f"layer_error/{i:02d}", error, record["tokens"])


def note(folder: Path, stage: str, record: dict[str, Any]) -> None:
    """Add a record that belongs to a whole stage to the log, in place of an earlier one."""
    records = [r for r in read_log(folder) if r["stage"] != stage or "step" in r]
    lines = [json.dumps(r) + "\n" for r in [*records, {"stage": stage, **record}]]
    write_text(folder / LOG_FILE, "".join(lines))
