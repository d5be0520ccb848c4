"""One attention head: energy of a token and area as sums over components, and its latency."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from analog_models.spec import HardwareSpec
from analog_models.timing import predict
from analog_models.workload import Workload
from estimate.breakdown import Breakdown, covered, spent, total
from estimate.circuits.arrays import GainCellArray
from estimate.circuits.buffers import TokenBuffer
from estimate.circuits.component import Action, Component
from estimate.circuits.converters import ChargeToPulse
from estimate.circuits.drivers import Dac, LineDriver
from estimate.circuits.logic import LOGIC_BLOCKS, LogicBlock
from estimate.circuits.routing import Wires
from estimate.errors import EstimateError
from estimate.measured import Activity, Measured
from estimate.quantities import Table
from estimate.references import PUBLISHED

__all__ = ["BASES", "Head"]

BASES = ("synthesis", "published")
"""Where the energy of the digital part comes from: our gates, or the paper's 4 nJ."""
LIBRARY = "nangate45"


@dataclass(frozen=True)
class Head:
    """A head of `spec` in one of its schedules, its window full.

    circuits: parameters, calibrated. library: whose synthesis is scaled.
    """

    spec: HardwareSpec
    circuits: Table
    measured: Measured
    schedule: str
    library: str = LIBRARY

    def __post_init__(self) -> None:
        self.spec.schedule_number(self.schedule)
        if self.library not in self.measured.synthesis:
            known = ", ".join(self.measured.synthesis)
            raise EstimateError(f"library = {self.library!r}: measured are {known}")

    # ---- time

    @cached_property
    def cycles(self) -> dict[str, int]:
        """`latency` of a token and `between` tokens: what the RTL took, else the virtual model."""
        if measured := self.measured.cycles_of(self.spec, self.schedule):
            return dict(measured)
        timing = predict(self.spec, Workload.of(9, self.spec.schedule_number(self.schedule)))
        between = int(timing.accepted[-1] - timing.accepted[-2])
        return {"latency": int((timing.finished - timing.accepted)[-1]), "between": between}

    @property
    def clock_s(self) -> float:
        return self.spec.clock.t_clk_ps * 1e-12

    @property
    def latency_s(self) -> float:
        """From a token's codes to its result."""
        return self.cycles["latency"] * self.clock_s

    @property
    def period_s(self) -> float:
        """Between two tokens of a stream."""
        return self.cycles["between"] * self.clock_s

    # ---- components

    @cached_property
    def array(self) -> GainCellArray:
        return GainCellArray(self.spec, self.circuits)

    @cached_property
    def components(self) -> dict[str, tuple[int, Component]]:
        """How many of each, by name, without the wires between them."""
        spec, circuits = self.spec, self.circuits
        geometry = spec.geometry
        arrays = geometry.subtiles * geometry.arrays
        capacitors = spec.schedules[self.schedule].capacitors
        outputs = geometry.subtiles * geometry.head_dim
        unsigned = ChargeToPulse(spec, circuits, False, capacitors)
        signed = ChargeToPulse(spec, circuits, True, capacitors)
        lines = geometry.head_dim * geometry.subtiles + geometry.window * geometry.arrays
        named: dict[str, tuple[int, Component]] = {
            "K arrays": (arrays, self.array),
            "V arrays": (arrays, self.array),
            "charge-to-pulse, unsigned": (geometry.window, unsigned),
            "charge-to-pulse, signed": (outputs, signed),
            "DACs": (geometry.head_dim, Dac(spec, circuits)),
            "line drivers": (lines, LineDriver(spec, circuits)),
            "token buffer": (self._token_bits, TokenBuffer(spec, circuits)),
        }
        return named | {LOGIC_BLOCKS[b.component].title: (1, b) for b in self._logic}

    @cached_property
    def _logic(self) -> list[LogicBlock]:
        synthesis, reference = self.measured.synthesis[self.library], self.measured.spec
        return [
            LogicBlock(self.spec, self.circuits, synthesis, reference, name)
            for name in LOGIC_BLOCKS
        ]

    @property
    def _token_bits(self) -> int:
        levels = self.spec.levels
        bits = levels.q_max.bit_length() + 2 * levels.kv_max.bit_length()
        return bits * self.spec.geometry.head_dim

    @cached_property
    def _wires(self) -> Wires:
        blocks_m2 = sum(count * component.area_m2 for count, component in self.components.values())
        return Wires(self.spec, self.circuits, blocks_m2)

    # ---- area and leakage

    def area(self) -> Breakdown:
        """Area of the head in m2."""
        parts = [
            covered(name, count, component.area_m2)
            for name, (count, component) in self.components.items()
        ]
        return total("head", [*parts, covered("channels for wires", 1, self._wires.area_m2)])

    @property
    def leakage_w(self) -> float:
        """Power of the head between tokens; that of a token's cycles is in its energy, too."""
        return sum(count * component.leakage_w for count, component in self.components.values())

    # ---- energy

    def token_energy(
        self, activity: Activity, basis: str = "synthesis", query_only: bool = False
    ) -> Breakdown:
        """Energy of one token in J, tokens following without a gap.

        basis: one of `BASES`. query_only: a further query, which writes nothing. Raises
        `EstimateError` for an unknown basis.
        """
        if basis not in BASES:
            raise EstimateError(f"basis = {basis!r}: allowed {', '.join(BASES)}")
        cycles = self._query_cycles if query_only else self.cycles["between"]
        parts = [
            self._first_product(activity),
            self._second_product(activity),
            self._writes(activity, cycles, query_only),
        ]
        if basis == "published":
            given = Action(PUBLISHED["head.digital_j"], self.period_s, "as published")
            parts.append(spent("digital control and routing", 1, given))
        else:
            parts.append(self._digital(activity, cycles))
        return total("query" if query_only else "token", parts)

    @property
    def _query_cycles(self) -> int:
        return self.cycles["between"] - self.spec.schedules[self.schedule].repeat

    def _first_product(self, activity: Activity) -> Breakdown:
        geometry, array = self.spec.geometry, self.array
        dim = geometry.head_dim
        pulses = activity["query_pulses"] * dim * geometry.subtiles
        column = array.integrate(activity["score_moved"] * dim, activity["score_net"] * dim)
        drive = array.drive(geometry.subtile)
        convert = self._converter("unsigned").watch(self._length("activate"))
        return total(
            "first product",
            [
                spent("word lines", pulses, drive),
                spent("cell currents", geometry.window, column),
                spent("charge-to-pulse", geometry.window, convert),
            ],
        )

    def _second_product(self, activity: Activity) -> Breakdown:
        geometry, array = self.spec.geometry, self.array
        rows, outputs = geometry.subtile, geometry.subtiles * geometry.head_dim
        pulses = activity["phi_pulses"] * geometry.window * geometry.arrays
        column = array.integrate(activity["row_moved"] * rows, activity["row_net"] * rows)
        drive = array.drive(array.lines)
        cycles = self._length("read_out") + self.spec.timing.settle
        convert = self._converter("signed").watch(cycles)
        return total(
            "second product",
            [
                spent("rows", pulses, drive),
                spent("cell currents", outputs, column),
                spent("charge-to-pulse", outputs, convert),
            ],
        )

    def _writes(self, activity: Activity, cycles: int, query_only: bool) -> Breakdown:
        """The DACs; their buffers stay on."""
        dim = self.spec.geometry.head_dim
        dac = Dac(self.spec, self.circuits)
        hold, write = dac.hold(cycles), dac.write(activity["write_step"])
        store = self.array.store(activity["write_step"])
        parts = [spent("DAC buffers", dim, hold)]
        if not query_only:
            parts += [
                spent("write lines", 2 * dim, write),
                spent("cells", 2 * dim, store),
            ]
        return total("DACs", parts)

    def _digital(self, activity: Activity, cycles: int) -> Breakdown:
        schedule = self.spec.schedules[self.schedule]
        blocks = []
        for block in self._logic:
            run = block.run_token(schedule, cycles, activity)
            blocks.append(spent(LOGIC_BLOCKS[block.component].title, 1, run))
        buffer = TokenBuffer(self.spec, self.circuits).take()
        blocks.append(spent("token buffer", self._token_bits, buffer))
        return total("digital control and routing", [*blocks, *self._routing(activity, cycles)])

    def _routing(self, activity: Activity, cycles: int) -> Iterator[Breakdown]:
        """Wires that synthesis does not have: to all sub-tiles, from them, and the clock."""
        geometry, wires = self.spec.geometry, self._wires
        queries = wires.tree(geometry.subtiles)
        pulses = activity["query_pulses"] * geometry.head_dim
        yield spent("wires of the queries", pulses, queries)
        link, outputs = wires.link(), geometry.subtiles * geometry.head_dim
        edges = activity["out_pulses"] + activity["sign_changes"] / 2
        yield spent("wires of the outputs", edges * outputs, link)
        flip_flops = sum(block.flip_flops for block in self._logic)
        clock = wires.tree(flip_flops / self.circuits["technology.clock_gate_fanout"])
        yield spent("wires of the clock", cycles, clock)

    def _converter(self, kind: str) -> ChargeToPulse:
        converter = self.components[f"charge-to-pulse, {kind}"][1]
        assert isinstance(converter, ChargeToPulse)
        return converter

    def _length(self, phase: str) -> int:
        return len(self.spec.schedules[self.schedule].phases[phase])
