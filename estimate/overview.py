"""The whole estimate as one tree, which the command prints and a report shows."""

from collections.abc import Callable, Iterable
from itertools import product
from typing import Any

from analog_models.spec import HardwareSpec
from estimate.circuits.calibration import calibrated
from estimate.engines import Engine, engine_names
from estimate.gpu import attention_work, decode_work, gpus
from estimate.head import BASES, Head
from estimate.measured import Activity, Measured
from estimate.models import LanguageModel, model_names, named_model
from estimate.peers import peers
from estimate.published import consistency, published_rows
from estimate.quantities import Table
from estimate.references import PUBLISHED
from estimate.system import System, Work

__all__ = ["Estimate"]

LENGTHS = (1 << 10, 1 << 12, 1 << 15, 1 << 17, 1 << 20)
BATCHES = (1, 8, 64)
DECODING = Work()
COMPARED = "h100"  # the GPU beside whole models


class Estimate:
    """Everything about one specification, from one set of measurements.

    circuits: parameters; solved from the published figures by default.
    """

    def __init__(
        self, spec: HardwareSpec, measured: Measured, circuits: Table | None = None
    ) -> None:
        self.spec, self.measured = spec, measured
        self.circuits = circuits or calibrated(measured)

    def head(self, schedule: str) -> Head:
        """A head in a schedule. Raises `SpecError` if there is none of that name."""
        return Head(self.spec, self.circuits, self.measured, schedule)

    @property
    def activity(self) -> Activity:
        """Of the mean head on real text."""
        return self.measured.activity

    # ---- one head

    def heads(self) -> dict[str, Any]:
        """Latency, energy on both bases and area, by schedule; the trees down to one action."""
        found = {}
        for schedule in self.spec.schedules:
            head = self.head(schedule)
            energies = {b: head.token_energy(self.activity, b).to_tree() for b in BASES}
            found[schedule] = {
                "cycles": head.cycles,
                "latency_s": head.latency_s,
                "period_s": head.period_s,
                "energy_j": energies,
                "area_m2": head.area().to_tree(),
                "leakage_w": head.leakage_w,
            }
        return found

    def activities(self) -> dict[str, float]:
        """Energy of a token in J if a signal were as in the least and the most active head."""
        head, found = self.head(next(iter(self.spec.schedules))), {}
        for name, ends in self.measured.activity_range.items():
            for end, value in zip(("lowest", "highest"), ends, strict=True):
                changed = {**self.activity, name: value}
                found[f"{name}, {end}"] = head.token_energy(changed).value
        return found

    def sensitivities(self, step: float = 0.1) -> dict[str, dict[str, float]]:
        """Relative change of energy and area per relative change of each circuit parameter."""
        schedule = next(iter(self.spec.schedules))

        def figures(circuits: Table) -> tuple[float, float]:
            head = Head(self.spec, circuits, self.measured, schedule)
            return head.token_energy(self.activity).value, head.area().value

        energy_j, area_m2 = figures(self.circuits)
        found = {}
        for name, value in self.circuits.items():
            moved = figures(self.circuits.with_values({name: value * (1 + step)}))
            found[name] = {
                "energy": (moved[0] / energy_j - 1) / step,
                "area": (moved[1] / area_m2 - 1) / step,
            }
        return found

    def libraries(self) -> dict[str, dict[str, float]]:
        """The digital part from each synthesis, scaled; `cells_j` without wires and buffers."""
        schedule, found = next(iter(self.spec.schedules)), {}
        for library in self.measured.synthesis:
            head = Head(self.spec, self.circuits, self.measured, schedule, library)
            digital = head.token_energy(self.activity).part("digital control and routing")
            cells = [part for part in digital.parts if library in part.how]
            found[library] = {
                "energy_j": digital.value,
                "cells_j": sum(part.value for part in cells),
                "published_j": PUBLISHED["head.digital_j"],
            }
        return found

    # ---- published figures

    def published(self) -> list[dict[str, Any]]:
        """Rows of published figures, of the specification that was measured."""
        spec = self.measured.spec
        head = Head(spec, self.circuits, self.measured, next(iter(spec.schedules)))
        return [row.to_tree() for row in published_rows(head, self.activity)]

    # ---- GPUs

    def gpus(self) -> list[dict[str, Any]]:
        """The roofline of a GPU for the published comparison, beside what was measured."""
        heads, window = (round(PUBLISHED[f"comparison.{k}"]) for k in ("heads", "window"))
        work = attention_work(heads, window)
        latency_s, rows = self.head(next(iter(self.spec.schedules))).latency_s, []
        for name, gpu in gpus().items():
            least_s = gpu.seconds(work)
            row = {"gpu": name, "roofline_s": least_s, "bound_by": gpu.bound(work)}
            if f"{name}.token_s" in PUBLISHED:
                token_s, token_j = PUBLISHED[f"{name}.token_s"], PUBLISHED[f"{name}.token_j"]
                row |= {
                    "measured_s": token_s,
                    "measured_j": token_j,
                    "measured_w": token_j / token_s,
                    "share_of_roofline": least_s / token_s,
                }
            row |= {"board_w": gpu.board_w, "speed_up_over_roofline": least_s / latency_s}
            rows.append(row)
        return rows

    # ---- whole models

    def system(
        self,
        model: LanguageModel,
        engine: str,
        schedule: str,
        work: Work = DECODING,
        basis: str = "synthesis",
    ) -> System:
        """A model with an engine for what is not attention."""
        parts = (self.spec, self.circuits, self.measured, schedule, basis, work)
        return System(model, Engine(engine), *parts)

    def systems(self, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Tables over models, engines, schedules, batches and lengths; say: told of each."""
        first, names = next(iter(self.spec.schedules)), model_names()

        def table(what: str, cases: Iterable[tuple[str, str, str, Work]]) -> list[dict[str, Any]]:
            say(what)
            return [self._row(*case) for case in cases]

        small, large = names[0], names[-1]
        sliding = [Work(length) for length in LENGTHS]
        whole = [Work(length, window=0) for length in LENGTHS if length > DECODING.window]
        return {
            "models": table(
                "models", ((m, e, first, DECODING) for m, e in product(names, engine_names()))
            ),
            "schedules": table(
                "schedules", ((small, "sram_cim", s, DECODING) for s in self.spec.schedules)
            ),
            "batches": table(
                "batches",
                (
                    (small, e, first, Work(1024, b))
                    for e, b in product(("hbm", "sram_cim"), BATCHES)
                ),
            ),
            "lengths": table(
                "lengths",
                (
                    (model, "sram_cim", first, work)
                    for model, work in product((small, large), sliding + whole)
                ),
            ),
        }

    def _row(self, model: str, engine: str, schedule: str, work: Work) -> dict[str, Any]:
        """One system, with a GPU that does the same at its roofline."""
        shape = named_model(model)
        system = self.system(shape, engine, schedule, work)
        step = decode_work(shape, work.slots, work.batch)
        gpu = gpus()[COMPARED]
        return system.to_tree() | {
            "gpu": COMPARED,
            "gpu_step_s": gpu.seconds(step),
            "gpu_token_j": gpu.seconds(step) * gpu.board_w / work.batch,
        }

    # ---- all of it

    def to_tree(self, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
        """Everything, for JSON."""
        first = self.head(next(iter(self.spec.schedules)))
        quantities = {name: q._asdict() for name, q in self.circuits.quantities.items()}
        return {
            "spec": self.spec.name,
            "spec_hash": self.spec.hash,
            "published": self.published(),
            "consistency": [item.to_tree() for item in consistency()],
            "heads": self.heads(),
            "digital": self.libraries(),
            "activity": dict(self.activity),
            "energy_by_activity_j": self.activities(),
            "sensitivity": self.sensitivities(),
            "gpus": self.gpus(),
            "systems": self.systems(say),
            "peers": peers(first, self.activity),
            "circuits": quantities,
            "measured": dict(self.measured.sources),
        }
