"""Run a component in Amaranth's simulator."""

from collections.abc import Callable
from typing import Any

from amaranth.sim import Simulator

from analog_models.spec import HardwareSpec, load_preset


def small_spec(**changes: Any) -> HardwareSpec:
    """The preset at a size that Amaranth's simulator takes in milliseconds."""
    sizes = {"geometry__head_dim": 4, "geometry__subtile": 4, "geometry__subtiles": 3}
    return load_preset().replace(name="small", **sizes | changes)


def run(component: Any, testbench: Callable[[Any], Any]) -> None:
    """Run `testbench` (an async function of the simulator's context) on the clocked component."""
    simulator = Simulator(component)
    simulator.add_clock(1e-9)
    simulator.add_testbench(testbench)
    simulator.run()


def run_comb(component: Any, testbench: Callable[[Any], Any]) -> None:
    """Like `run`, for a component without registers."""
    simulator = Simulator(component)
    simulator.add_testbench(testbench)
    simulator.run()
