"""A circuit round the component under proof: free inputs, memory of the past, assertions.

Everything is asserted and assumed in every cycle, before the clock edge that ends it. Reset is a
free input like any other: it may come in every cycle, and the monitor is reset with the component.
"""

from typing import Any

from amaranth import Module, Signal, Value
from amaranth.asserts import AnyConst
from amaranth.hdl import Assert, Assume, Elaboratable, Fragment
from amaranth.lib import wiring

from hdl.formal.design import Design

__all__ = ["Monitor"]


class Monitor(Elaboratable):
    """Watches `dut`, whose inputs the solver may choose where `m` does not drive them."""

    def __init__(self, design: Design, dut: wiring.Component) -> None:
        self.dut: Any = dut
        self._with_lemmas = not design.is_broken
        self.m = Module()
        self._elaborated = False
        self._fragment = Fragment.get(dut, None)
        self.m.submodules.dut = self._fragment
        self.ports = [Value.cast(value) for _, _, value in dut.signature.flatten(dut)]

    def always(self, condition: Any, message: str) -> None:
        """Assert `condition` in every cycle."""
        self.m.d.comb += Assert(condition, message, src_loc_at=1)

    def lemma(self, condition: Any, message: str) -> None:
        """Assert what the induction needs beside the property.

        A broken variant is watched without lemmas: it must violate the property itself.
        """
        if self._with_lemmas:
            self.m.d.comb += Assert(condition, message, src_loc_at=1)

    def given(self, condition: Any) -> None:
        """Assume `condition` in every cycle."""
        self.m.d.comb += Assume(condition, src_loc_at=1)

    def register(self, name: str, *submodules: str) -> Signal:
        """A register inside the component, for an invariant that the induction needs.

        Raises `KeyError` unless the component, or the submodule in it, has one of that name.
        """
        fragment = self._fragment
        for submodule in submodules:
            fragment = fragment.find_subfragment(submodule)
        for domain, statements in fragment.statements.items():
            if domain != "comb":
                found = [signal for signal in statements._lhs_signals() if signal.name == name]
                if len(found) == 1:
                    return found[0]
        raise KeyError(f"there is no register {'.'.join((*submodules, name))}")

    def past(self, value: Any, name: str) -> Signal:
        """`value` one cycle ago; its type's zero after reset."""
        value = Value.cast(value)
        before = Signal(value.shape(), name=f"past_{name}")
        self.m.d.sync += before.eq(value)
        return before

    def any_of(self, choices: range, name: str) -> Signal:
        """A number that the solver picks once for the whole run."""
        chosen = Signal(choices, name=name)
        self.m.d.comb += chosen.eq(AnyConst(chosen.shape()))
        self.given((chosen >= choices.start) & (chosen < choices.stop))
        return chosen

    def elaborate(self, platform: Any) -> Module:
        if self._elaborated:
            raise RuntimeError("a monitor is used up by its first conversion: build another")
        self._elaborated = True
        return self.m
