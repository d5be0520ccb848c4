"""One training loop for the teacher and for every stage of the adaptation.

AdamW; the learning rate warms up, stays, and falls linearly to zero. The batch of a step depends
on the seed and the number of the step alone, so a run that was interrupted continues as if it
had not been. The whole state is one safetensors file, written atomically.
"""

import json
import signal
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from analog_models.errors import ArtefactError
from ml.checkpoint import load_tensors, save_tensors
from ml.errors import SettingError, TrainingError

SCALER_RATE_FACTOR = 4.0  # scalers learn faster than weights: few, and far from their place


@dataclass(frozen=True)
class Settings:
    """Of one training run. Raises SettingError when out of range."""

    steps: int
    batch: int = 16  # texts per step
    learning_rate: float = 1.5e-3
    warmup_steps: int = 100
    decay_fraction: float = 0.3  # of the steps, at the end
    weight_decay: float = 0.1
    seed: int = 1
    validate_every: int = 250  # steps
    save_every: int = 250  # steps

    def __post_init__(self) -> None:
        for name in ("steps", "batch", "learning_rate", "validate_every", "save_every"):
            if not getattr(self, name) > 0:
                raise SettingError(f"{name} is {getattr(self, name)}, must be above 0")
        if not 0 < self.decay_fraction <= 1:
            raise SettingError(f"decay_fraction is {self.decay_fraction}, must be in (0, 1]")

    def rate(self, step: int) -> float:
        """Learning rate of `step`: linear warm-up, a plateau, linear decay to zero."""
        warm = min(1.0, (step + 1) / max(1, self.warmup_steps))
        cool = min(1.0, (self.steps - step) / (self.decay_fraction * self.steps))
        return self.learning_rate * warm * cool


@dataclass
class Progress:
    """Where a run stands; saved with it."""

    step: int = 0
    best_loss: float = float("inf")
    best_step: int = 0
    seconds: float = 0.0


def sample_batch(tokens: Tensor, context: int, settings: Settings, step: int) -> Tensor:
    """Ids [batch, context + 1] of the texts of `step`, at random places of `tokens`."""
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + step)
    starts = torch.randint(len(tokens) - context, (settings.batch, 1), generator=generator)
    return tokens[starts + torch.arange(context + 1)].long()


def make_optimiser(module: nn.Module, settings: Settings) -> torch.optim.AdamW:
    """AdamW: matrices decay, vectors do not, scalers learn faster by SCALER_RATE_FACTOR."""
    named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
    scalers = [p for n, p in named if "scaler" in n]
    matrices = [p for n, p in named if "scaler" not in n and p.dim() >= 2]
    vectors = [p for n, p in named if "scaler" not in n and p.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": settings.weight_decay, "factor": 1.0},
        {"params": vectors, "weight_decay": 0.0, "factor": 1.0},
        {"params": scalers, "weight_decay": 0.0, "factor": SCALER_RATE_FACTOR},
    ]
    return torch.optim.AdamW([g for g in groups if g["params"]], betas=(0.9, 0.95), fused=True)


class Run:
    """A module, its optimiser and its progress: what one state file holds."""

    def __init__(self, module: nn.Module, settings: Settings, state_file: Path) -> None:
        self.module, self.settings, self.state_file = module, settings, state_file
        self.optimiser = make_optimiser(module, settings)
        self.progress = Progress()
        self.best = {n: t.detach().clone() for n, t in module.state_dict().items()}

    def save(self) -> None:
        """Write the whole state to the state file."""
        tensors = {f"model.{n}": t for n, t in self.module.state_dict().items()}
        tensors |= {f"best.{n}": t for n, t in self.best.items()}
        for name, parameter in self.module.named_parameters():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                tensors[f"{key}.{name}"] = value
        about = {"progress": asdict(self.progress), "settings": asdict(self.settings)}
        save_tensors(self.state_file, tensors, about)

    def resume(self) -> bool:
        """Take up the state file, if there is one. Raises ArtefactError, SettingError."""
        if not self.state_file.exists():
            return False
        tensors, about = load_tensors(self.state_file)
        self._check(about)
        self.progress = Progress(**about["progress"])
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in tensors.items():
            kind, _, rest = name.partition(".")
            parts.setdefault(kind, {})[rest] = tensor
        try:
            self.module.load_state_dict(parts["model"])
        except (KeyError, RuntimeError) as error:
            raise ArtefactError(f"{self.state_file}: holds another model") from error
        self.best = parts["best"]
        for name, parameter in self.module.named_parameters():
            kinds = ("step", "exp_avg", "exp_avg_sq")
            state = {kind: parts[kind][name] for kind in kinds if name in parts.get(kind, {})}
            if state:
                self.optimiser.state[parameter] = state
        return True

    def _check(self, about: dict[str, Any]) -> None:
        """Refuse to continue with other settings; more or fewer steps are no difference."""
        old = about.get("settings", {})
        for name, value in asdict(self.settings).items():
            if name not in ("steps", "validate_every", "save_every") and old.get(name) != value:
                raise SettingError(
                    f"{name} is {value}, but {self.state_file} was begun with {old.get(name)}; "
                    "use the same value or remove that file"
                )


class _Interrupt:
    """Turns Ctrl-C into a flag, so that a step is finished and saved first."""

    def __enter__(self) -> "_Interrupt":
        self.raised = False
        self._before = signal.signal(signal.SIGINT, self._note)
        return self

    def _note(self, *_: object) -> None:
        self.raised = True

    def __exit__(self, *_: object) -> None:
        signal.signal(signal.SIGINT, self._before)


def fit(
    run: Run,
    loss_of: Callable[[Tensor, int], Tensor],
    sample: Callable[[int], Tensor],
    validate: Callable[[], float],
    report: Callable[[dict[str, Any]], None],
) -> None:
    """Train `run` to its last step; afterwards its module holds the best weights.

    `loss_of(ids, step)` is the loss of a batch, `sample(step)` the batch, `validate()` the
    loss that decides which weights are best, `report` gets a record at each validation. Raises
    KeyboardInterrupt after Ctrl-C, with the state saved, and TrainingError on a loss that is
    not finite.
    """
    settings, progress, parameters = run.settings, run.progress, list(run.module.parameters())
    with _Interrupt() as interrupt:
        if progress.step == 0:
            _validate(run, validate, float("nan"), report)
        while progress.step < settings.steps:
            started = time.monotonic()
            for group in run.optimiser.param_groups:
                group["lr"] = settings.rate(progress.step) * group["factor"]
            run.optimiser.zero_grad(set_to_none=True)
            loss = loss_of(sample(progress.step), progress.step)
            if not bool(torch.isfinite(loss)):
                raise TrainingError(f"step {progress.step}: the loss is not finite")
            loss.backward()
            nn.utils.clip_grad_norm_(parameters, 1.0)
            run.optimiser.step()
            progress.step += 1
            last = progress.step == settings.steps
            if last or progress.step % settings.validate_every == 0:
                _validate(run, validate, float(loss.detach()), report)
            progress.seconds += time.monotonic() - started
            if last or interrupt.raised or progress.step % settings.save_every == 0:
                run.save()
            if interrupt.raised:
                raise KeyboardInterrupt
    run.module.load_state_dict(run.best)


def _validate(
    run: Run,
    validate: Callable[[], float],
    train_loss: float,
    report: Callable[[dict[str, Any]], None],
) -> None:
    """Measure, keep the weights when they are the best so far, and report."""
    loss = validate()
    if loss < run.progress.best_loss:
        run.progress.best_loss, run.progress.best_step = loss, run.progress.step
        run.best = {n: t.detach().clone() for n, t in run.module.state_dict().items()}
    report({"step": run.progress.step, "train_loss": train_loss, "validation_loss": loss})


def write_log(path: Path, record: dict[str, Any]) -> None:
    """Append one record to a log of JSON lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")
