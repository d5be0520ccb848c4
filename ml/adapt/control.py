"""The teacher trained for as long as the adaptation takes: what the adapted model compares with.

control-linear  as many tokens as stages layerwise and linear, at half the rates of linear
control-cubic   then as many as stage cubic, at its rates

It has the batches, the optimisers and the schedules of the adaptation, softmax attention, and the
text itself to learn from; at smaller rates first because it is in its place already.
"""

from dataclasses import replace

from ml.adapt.objectives import EndToEnd
from ml.adapt.stages import finish, is_finished, train_stage
from ml.adapt.student import is_trained, load_adapted
from ml.adapt.work import CONTROL, Adaptation
from ml.models.network import Network, freeze
from ml.train.loop import Settings

RATE_FACTOR = 0.5


def control_settings(settings: dict[str, Settings]) -> dict[str, Settings]:
    """Of the two stages, from those of the stages that they are compared with."""
    layerwise, linear, cubic = (settings[name] for name in ("layerwise", "linear", "cubic"))
    as_long = replace(
        linear,
        steps=layerwise.steps + linear.steps,
        learning_rate=RATE_FACTOR * linear.learning_rate,
        muon_rate=linear.muon_rate and RATE_FACTOR * linear.muon_rate,
    )
    return dict(zip(CONTROL, (as_long, cubic), strict=True))


def run_control(work: Adaptation) -> str:
    """Run the stages that are not finished; `settings` of `work` are those of control.

    Returns the name of the last one. Raises ArtefactError for a finished stage that does not fit.
    """
    start = None
    for stage in CONTROL:
        if not is_finished(work, stage, start):
            network = teacher_at(work, stage, start)
            objective = EndToEnd(work.softmax, network, hidden_weight=0.0, text_weight=1.0)
            seconds = train_stage(work, stage, network, objective)
            finish(work, stage, network, start, seconds)
        start = stage
    return CONTROL[-1]


def teacher_at(work: Adaptation, stage: str, start: str | None) -> Network:
    """The teacher as the stage `start` left it, to be trained as `stage`."""
    network = work.copy_of_teacher()
    freeze(network, lambda name: is_trained(network, name, work.options, stage))
    if start is not None:
        load_adapted(network, work.stages.load(start)[0], work.stages.file(start))
    return network
