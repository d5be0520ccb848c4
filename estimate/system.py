"""A whole language model: attention in gain cells, everything else on a stated engine.

Every key/value head of every layer has arrays of its own, and so has every sequence of a batch. A
token passes the layers one after the other; the vector work (norms, activations, sums) is between
the products.
"""

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from analog_models.spec import HardwareSpec
from analog_models.timing import predict
from analog_models.workload import Workload
from common.errors import SpecError
from common.fields import MAX_SLOTS
from estimate.engines import ENGINES, Engine
from estimate.errors import EstimateError
from estimate.head import Head
from estimate.measured import Measured
from estimate.models import LanguageModel
from estimate.quantities import Table

__all__ = ["System", "Work"]


@dataclass(frozen=True)
class Work:
    """What is asked of a system: sequences of `length` tokens, `batch` of them at once.

    window: tokens that attention sees, at most; the whole sequence if 0.
    """

    length: int = 1024
    batch: int = 1
    window: int = 1024

    def __post_init__(self) -> None:
        for name, least in (("length", 1), ("batch", 1), ("window", 0)):
            if getattr(self, name) < least:
                raise EstimateError(f"{name} = {getattr(self, name)}: allowed {least} up")

    @property
    def slots(self) -> int:
        """Tokens that the window holds at most."""
        return min(self.window or self.length, self.length)


@dataclass(frozen=True)
class System:
    """A model on chips with gain-cell heads of `spec` in one schedule.

    circuits: calibrated. basis: of the heads' digital energy.
    """

    model: LanguageModel
    engine: Engine
    spec: HardwareSpec
    circuits: Table
    measured: Measured
    schedule: str
    basis: str = "synthesis"
    work: Work = field(default_factory=Work)

    # ---- attention

    @cached_property
    def heads_per_kv(self) -> int:
        """Heads that share the window of one key/value head, their outputs added."""
        return -(-self.work.slots // MAX_SLOTS)

    @cached_property
    def head(self) -> Head:
        """One of them, as many sub-tiles long as its part of the window."""
        rows = self.spec.geometry.subtile
        slots = -(-self.work.slots // self.heads_per_kv)
        try:
            spec = self.spec.replace(
                geometry__head_dim=self.model.head_dim,
                geometry__subtiles=max(1, -(-slots // rows)),
                grid__pulse_bits=0,
                grid__charge_bits=8,
            )
        except SpecError as error:
            raise EstimateError(f"{self.model.title}: no head for it: {error}") from error
        return Head(spec, self.circuits, self.measured, self.schedule)

    @property
    def kv_heads(self) -> int:
        """Key/value heads of all layers, for one sequence."""
        return self.model.layers * self.model.kv_heads

    def _attention_cycles(self, tokens: int) -> int:
        """Cycles of a layer's attention for so many tokens of one sequence, all heads at once."""
        number = self.spec.schedule_number(self.schedule)
        workload = Workload.of(tokens, number, queries=self.model.group)
        timing = predict(self.spec, workload)
        return int(timing.finished[-1] - timing.accepted[0])

    @cached_property
    def attention_s(self) -> float:
        """A layer's attention for one token: one write, and a query for each head of the group."""
        return self._attention_cycles(1) * self.head.clock_s

    @cached_property
    def attention_j(self) -> float:
        """Attention of one token in all layers."""
        activity = self.measured.activity
        token_j, query_j = (
            self.head.token_energy(activity, self.basis, query_only).value
            for query_only in (False, True)
        )
        each_j = token_j + (self.model.group - 1) * query_j
        return self.kv_heads * self.heads_per_kv * each_j

    # ---- decoding: one token of each sequence

    @cached_property
    def decode_times(self) -> dict[str, float]:
        """Seconds of a step that gives every sequence of the batch a token.

        A digital engine takes the whole batch through a matrix at once. With compute-in-memory the
        sequences follow one another through the layers.
        """
        batch, layers = self.work.batch, self.model.layers
        at_once = 1 if self.engine.in_memory else batch
        times = {
            "matrix products": sum(self.engine.product_s(n, at_once) for n in self.model.matrices),
            "attention": layers * self.attention_s,
            "vector work": at_once * self._vector_s,
        }
        if batch > at_once:
            slowest_s = max(self.engine.product_s(1), self._vector_s / layers)
            times["other sequences"] = (batch - 1) * slowest_s
        return times

    @property
    def _vector_s(self) -> float:
        """Norms, activations and sums of one token in all layers."""
        return self.model.vector_operations / ENGINES["chip.vector_per_s"]

    @property
    def step_s(self) -> float:
        """Time of a decoding step."""
        return sum(self.decode_times.values())

    @cached_property
    def decode_energies(self) -> dict[str, float]:
        """Joules of one token, the weights being read once for the whole batch."""
        batch = self.work.batch
        products = [self.engine.product_j(n, batch) for n in self.model.matrices]
        joules = {key: sum(p[key] for p in products) / batch for key in products[0]}
        vector_j = self.model.vector_operations * ENGINES["chip.vector_j"]
        return joules | {"attention": self.attention_j, "vector work": vector_j}

    @property
    def token_j(self) -> float:
        """Energy of one token."""
        return sum(self.decode_energies.values())

    # ---- prefilling: all tokens of a prompt are there

    @cached_property
    def prefill_s(self) -> float:
        """Time until the last token of a prompt of `length` has passed the model, one sequence.

        A digital engine serves layer after layer. With compute-in-memory the tokens follow one
        another through all layers, at the pace of the slowest stage.
        """
        length, model, vector_s = self.work.length, self.model, self._vector_s
        if not self.engine.in_memory:
            layer = sum(self.engine.product_s(n, length) for n in model.layer_matrices)
            attention_s = self._attention_cycles(length) * self.head.clock_s
            last = self.engine.product_s(model.matrices[-1])
            return model.layers * (layer + attention_s) + last + length * vector_s
        interval_s = self.head.clock_s * (
            self._attention_cycles(9) - self._attention_cycles(8)
        )  # between two tokens of a stream
        slowest_s = max(interval_s, self.engine.product_s(1), vector_s / model.layers)
        one_s = replace(self, work=replace(self.work, length=1, batch=1)).step_s
        return one_s + (length - 1) * slowest_s

    # ---- what it takes

    @property
    def attention_m2(self) -> float:
        """Heads of the whole batch."""
        heads = self.work.batch * self.kv_heads * self.heads_per_kv
        return heads * self.head.area().value

    @property
    def chips(self) -> int:
        """Dies for the heads and the engine."""
        area_m2 = self.attention_m2 + self.engine.area_m2(self.model)
        return -int(-area_m2 // ENGINES["chip.area_m2"])

    @property
    def tau_needed_s(self) -> float | None:
        """Retention with which a slot leaks as much per token as the model was trained for.

        None if it was trained for no leakage, or next to none: then no retention is long enough.
        """
        decay = self.spec.decay_per_token
        tau_s = self.step_s / decay if decay else math.inf
        return tau_s if math.isfinite(tau_s) else None

    def to_tree(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "model": self.model.title,
            "engine": self.engine.title,
            "schedule": self.schedule,
            "basis": self.basis,
            "length": self.work.length,
            "batch": self.work.batch,
            "window": self.work.slots,
            "step_s": self.step_s,
            "decode_s": self.decode_times,
            "tokens_per_s": self.work.batch / self.step_s,
            "token_j": self.token_j,
            "decode_j": self.decode_energies,
            "prefill_s": self.prefill_s,
            "attention_m2": self.attention_m2,
            "engine_m2": self.engine.area_m2(self.model),
            "chips": self.chips,
            "tau_needed_s": self.tau_needed_s,
        }
