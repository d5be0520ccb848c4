"""One training loop for the teacher and for every stage of the adaptation.

AdamW; the learning rate warms up, stays, and falls linearly to zero. The batch of a step depends
on the seed and the number of the step alone, so a run that was interrupted continues as if it
had not been. The whole state is one safetensors file, written atomically.
"""

import json
import math
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from common.errors import readable
from common.interrupts import Interrupted, noted
from ml.checkpoint import fitted, load_tensors, save_tensors
from ml.errors import ModelError, SettingError, TrainingError
from ml.finite import finite_outputs
from ml.train.optimisers import Optimisers
from ml.train.parallel import ALONE, Ranks
from ml.train.state import Header, Progress


@dataclass(frozen=True)
class Settings:
    """Of one training run. Raises SettingError when out of range."""

    steps: int
    batch: int = 16  # texts per step
    learning_rate: float = 1.5e-3
    warmup_steps: int = 100
    decay_fraction: float = 0.3  # of the steps, at the end
    weight_decay: float = 0.1
    scaler_factor: float = 4.0  # learning rate of scalers and offsets, in that of weights
    mixing_factor: float = 1.0  # learning rate of mixing matrices, likewise
    muon_rate: float | None = None  # learning rate of Muon for matrices; None: AdamW for all
    clip_norm: float | None = 1.0  # largest norm of the gradient; None: any
    seed: int = 1
    validate_every: int = 250  # steps
    save_every: int = 250  # steps

    def __post_init__(self) -> None:
        positive = ("steps", "batch", "learning_rate", "scaler_factor", "mixing_factor")
        for name in (*positive, "muon_rate", "clip_norm", "validate_every", "save_every"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise SettingError(f"{name} is {value}, must be above 0")
        if not 0 < self.decay_fraction <= 1:
            raise SettingError(f"decay_fraction is {self.decay_fraction}, must be in (0, 1]")

    def rate(self, step: int) -> float:
        """Learning rate of `step`: linear warm-up, a plateau, linear decay to zero."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        cool = min(1.0, (self.steps - step) / (self.decay_fraction * self.steps))
        return self.learning_rate * warm * cool


def sample_batch(tokens: Tensor, context: int, settings: Settings, step: int) -> Tensor:
    """Ids [batch, context + 1] of the texts of `step`, at random places of `tokens`."""
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
    last, shape = len(tokens) - context, (settings.batch, 1)
    starts = torch.randint(last, shape, generator=generator, device=generator.device)
    places = starts + torch.arange(context + 1, device=generator.device)
    return tokens[places].long()


class Run:
    """The trained parameters of a module, their optimiser and progress: one state file.

    `identity`: whatever JSON can hold that must be the same when the run goes on, as settings must.
    """

    def __init__(
        self,
        module: nn.Module,
        settings: Settings,
        state_file: Path,
        identity: dict[str, Any] | None = None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.module, self.settings, self.state_file = module, settings, state_file
        self.identity, self.ranks = identity or {}, ranks
        self.parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        muon = settings.muon_rate
        self.optimisers = Optimisers(
            module,
            ranks,
            scaler_factor=settings.scaler_factor,
            mixing_factor=settings.mixing_factor,
            muon_factor=None if muon is None else muon / settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self.progress = Progress()
        self.best: dict[str, Tensor] = {}
        self.keep()

    def keep(self) -> None:
        """Note the present parameters as the best ones."""
        self.best = {name: p.detach().clone() for name, p in self.parameters.items()}

    @torch.no_grad()
    def take(self, tensors: dict[str, Tensor]) -> None:
        """Set the parameters to `tensors`."""
        for name, parameter in self.parameters.items():
            parameter.copy_(tensors[name])

    def save(self) -> None:
        """Write the whole state to the state file; every rank has to call this."""
        state = self.optimisers.state()
        if not self.ranks.first:
            return
        tensors = {f"model.{n}": p for n, p in self.parameters.items()}
        tensors |= {f"best.{n}": t for n, t in self.best.items()}
        for name, parameter in self.parameters.items():
            values = state.get(parameter, {})
            tensors |= {f"{key}.{name}": value for key, value in values.items()}
        settings = asdict(self.settings) | self.identity
        progress = self.progress.model_dump(exclude_defaults=True)
        remembered = [name for name, parameter in self.parameters.items() if state.get(parameter)]
        about = {"progress": progress, "settings": settings, "remembered": remembered}
        save_tensors(self.state_file, tensors, about)

    def resume(self) -> bool:
        """Take up the state file, if there is one. Raises ArtefactError, SettingError."""
        if not self.state_file.exists():
            return False
        tensors, about = load_tensors(self.state_file)
        header = Header.of(about, self.state_file)
        self._check(header.settings)
        names = [n.partition(".")[2] for n in tensors if not n.startswith(("model.", "best."))]
        state = self._state({*names, *header.remembered})
        tensors = fitted(tensors, state, self.state_file)
        self.progress = header.progress
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            parts.setdefault(kind, {})[rest] = tensor
        self.take(parts.pop("model", {}))
        self.best = parts.pop("best", {})
        self.optimisers.load(
            {
                parameter: {kind: named[name] for kind, named in parts.items() if name in named}
                for name, parameter in self.parameters.items()
            }
        )
        return True

    def _state(self, remembered: set[str]) -> dict[str, Tensor]:
        """Tensors as in a state file whose optimisers remember something of these parameters."""
        state: dict[str, Tensor] = {}
        for part in ("model", "best"):
            state |= {f"{part}.{name}": own for name, own in self.parameters.items()}
        for name in remembered & self.parameters.keys():
            kinds = self.optimisers.kinds(self.parameters[name])
            state |= {f"{kind}.{name}": like for kind, like in kinds.items()}
        return state

    def _check(self, old: dict[str, Any]) -> None:
        """Refuse to continue with other settings; more or fewer steps are no difference."""
        for name, value in (asdict(self.settings) | self.identity).items():
            if name not in ("steps", "validate_every", "save_every") and old.get(name) != value:
                raise SettingError(
                    f"{name} is {value}, but {self.state_file} was begun with "
                    f"{readable(old.get(name))}; use the same value or remove that file"
                )


def fit(
    run: Run,
    loss_of: Callable[[Tensor, int], Tensor],
    sample: Callable[[int], Tensor],
    validate: Callable[[], float],
    report: Callable[[dict[str, Any]], None],
) -> None:
    """Train `run` to its last step; afterwards its module holds the best weights.

    `loss_of(ids, step)` is the loss of a batch, detached where it has added the gradients itself;
    `sample(step)` is the batch of this rank; `validate()`, the same on all ranks, decides which
    weights are best. `report` gets a record of every step, with `validation_loss` where that was
    measured. Raises Interrupted after a signal that asks to end, with the state saved, and
    TrainingError on a loss that is not finite.
    """
    settings, progress, ranks = run.settings, run.progress, run.ranks
    run.module.zero_grad()
    with noted() as note:
        if progress.step == 0:
            report({"step": 0, "seconds": 0.0, "validation_loss": _validate(run, validate)})
        while progress.step < settings.steps:
            started = time.monotonic()
            loss = _backward(run, loss_of(sample(progress.step), progress.step))
            seen = torch.stack((loss, loss.new_tensor(float(note.signum is not None))))
            ranks.average([seen])
            if not math.isfinite(float(seen[0])):
                raise _blame(run, lambda: loss_of(sample(progress.step), progress.step))
            _descend(run)
            record: dict[str, Any] = {"step": progress.step, "train_loss": float(seen[0])}
            last = progress.step == settings.steps
            if last or progress.step % settings.validate_every == 0:
                record["validation_loss"] = _validate(run, validate)
            progress.seconds += time.monotonic() - started
            report(record | {"seconds": progress.seconds})
            stopped = bool(seen[1] > 0)
            if last or stopped or progress.step % settings.save_every == 0:
                run.save()
            if stopped:
                raise Interrupted(note.signum or signal.SIGINT)  # it may have come to another rank
        if note.signum is not None:  # during the last step, when the ranks had agreed to go on
            raise Interrupted(note.signum)
    run.take(run.best)


def _backward(run: Run, loss: Tensor) -> Tensor:
    """Add the gradients of a loss that has not done so itself; the loss, detached."""
    if loss.requires_grad:
        loss.backward()
    return loss.detach().float()


def _blame(run: Run, again: Callable[[], Any]) -> TrainingError:
    """The error of a loss that is not finite, with the module where that began."""
    message = f"step {run.progress.step}: the loss is not finite"
    try:
        with finite_outputs(run.module):
            again()
    except ModelError as error:
        message += f": {error}"
    return TrainingError(message)


def _descend(run: Run) -> None:
    """One step of the optimiser with the mean gradient of all ranks, then no gradients are left."""
    settings, progress = run.settings, run.progress
    run.ranks.average([p.grad for p in run.parameters.values() if p.grad is not None])
    if settings.clip_norm is not None:
        nn.utils.clip_grad_norm_(list(run.parameters.values()), settings.clip_norm)
    run.optimisers.step(settings.rate(progress.step))
    run.module.zero_grad()
    progress.step += 1


def _validate(run: Run, validate: Callable[[], float]) -> float:
    """Measure, and keep the weights when they are the best so far. Raises TrainingError."""
    loss = validate()
    if not math.isfinite(loss):
        raise TrainingError(f"step {run.progress.step}: the validation loss is not finite")
    if loss < run.progress.best_loss:
        run.progress.best_loss, run.progress.best_step = loss, run.progress.step
        run.keep()
    return loss


def write_log(path: Path, record: dict[str, Any]) -> None:
    """Append one record to a log of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
