"""Heads that are broken on purpose: the fault is named, not its consequence."""

import pytest

from common.errors import GaincellError
from cosim.run import building as runner
from cosim.run.building import simulate
from hdl.emit.verilog import emit
from tests.cosim.conftest import random_job, small_spec


def stuck(port, level):
    """An `emit` whose head has an output of its sequencer disconnected and stuck at `level`."""

    def broken(spec, folder):
        contract = emit(spec, folder)
        path = folder / "attention_head_simulation.v"
        text = path.read_text()
        connected = f"(control__{port})"
        assert text.count(f".active__{port}{connected}") == 1
        text = text.replace(connected, "()", 1)
        text = text.replace("endmodule", f"  assign control__{port} = {level};\nendmodule", 1)
        path.write_text(text)
        return contract | {"sha256": f"{port} {level}"}

    return broken


@pytest.mark.parametrize(
    ("port", "level", "message"),
    [
        ("reset_k", 0, "query 0: K capacitor not discharged before"),
        ("reset_v", 0, "query 0: V capacitor not discharged before"),
        ("score", 0, "query 0: its K capacitor holds no score"),
        ("activate", 0, "a K capacitor is discharged while it is in use"),
    ],
)
def test_a_dead_pin_is_named(port, level, message, monkeypatch, tmp_path):
    spec = small_spec()
    monkeypatch.setattr(runner, "emit", stuck(port, level))
    with pytest.raises(GaincellError, match=message):
        simulate(spec, random_job(spec, 3, 0), build_root=tmp_path)
