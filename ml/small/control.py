"""Train the teacher for as long as the adaptation takes: what the adapted model compares with.

control-linear  as many tokens as stages layerwise and linear, at half the rates of linear
control-cubic   then as many as stage cubic, at its rates

It has the batches, the optimisers and the schedules of the adaptation, softmax attention, and the
text itself to learn from; at smaller rates first because it is in its place already. Give it the
options of `ml.small.adapt`. Finished stages lie beside those of the adaptation; Ctrl-C saves the
running one, and the same command continues.
"""

from dataclasses import replace

import torch
from torch import Tensor

from common.errors import run_command
from ml.checkpoint import load_weights
from ml.small.adapt import Adaptation, make_parser, train_stage, work_of
from ml.small.model import LanguageModel, next_token_loss
from ml.train.loop import Settings

STAGES = ("control-linear", "control-cubic")
RATE_FACTOR = 0.5


def settings_of(work: Adaptation) -> tuple[Settings, Settings]:
    """Of the two stages."""
    layerwise, linear, cubic = (work.settings[name] for name in ("layerwise", "linear", "cubic"))
    as_long = replace(
        linear,
        steps=layerwise.steps + linear.steps,
        learning_rate=RATE_FACTOR * linear.learning_rate,
        muon_rate=linear.muon_rate and RATE_FACTOR * linear.muon_rate,
    )
    return as_long, cubic


def text_loss(model: LanguageModel, ids: Tensor) -> Tensor:
    """Cross entropy of ids [B, T + 1]."""
    return next_token_loss(model(ids[:, :-1]).float(), ids[:, 1:])


def train_control(work: Adaptation) -> LanguageModel:
    """Run the stages that are not finished; the teacher after all of them."""
    model, start = LanguageModel(work.teacher.config), None
    model.load_state_dict(work.teacher.state_dict())
    for name, settings in zip(STAGES, settings_of(work), strict=True):
        if work.stages.finished(name):
            work.stages.check_start(name, start)
            load_weights(model, work.stages.load(name)[0], work.stages.file(name))
        else:
            seconds = train_stage(work, name, model, settings, text_loss)
            work.stages.save(name, model.state_dict(), start, about=seconds)
        start = name
    return model


def main(argv: list[str] | None = None) -> int:
    """Command line of the control."""
    options = make_parser("ml.small.control", __doc__).parse_args(argv)
    if options.threads:
        torch.set_num_threads(options.threads)
    train_control(work_of(options))
    return 0


if __name__ == "__main__":
    run_command(main, resumable=True)
