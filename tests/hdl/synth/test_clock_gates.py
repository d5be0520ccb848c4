from hdl.synth.clock_gates import CLOCK_GATE, split_clock_gates


def netlist(flops: int) -> dict:
    """One gate (net 4) with flip-flops behind it, and one flip-flop beside it."""
    cells = {
        "gate": {"type": CLOCK_GATE, "connections": {"enable": [2], "clk": [3], "gated": [4]}},
        "free": {"type": "DFF", "connections": {"CK": [3], "D": ["0"], "Q": [5]}},
    }
    for i in range(flops):
        cells[f"f{i}"] = {"type": "DFF", "connections": {"CK": [4], "D": [5], "Q": [10 + i]}}
    return {"modules": {"m": {"cells": cells, "netnames": {"high": {"bits": [10 + flops]}}}}}


def test_flops_are_shared_out_evenly():
    design = netlist(10)
    assert split_clock_gates(design, 4) == 3
    cells = design["modules"]["m"]["cells"]
    gates = [cell["connections"] for cell in cells.values() if cell["type"] == CLOCK_GATE]
    assert all(gate["enable"] == [2] and gate["clk"] == [3] for gate in gates)
    outputs = [gate["gated"][0] for gate in gates]
    assert len(set(outputs)) == 3 and not {*outputs} & {2, 3, 5, *range(10, 21)}
    served = [cells[f"f{i}"]["connections"]["CK"][0] for i in range(10)]
    assert sorted(map(served.count, outputs)) == [3, 3, 4]
    assert cells["free"]["connections"]["CK"] == [3]


def test_a_gate_that_serves_few_stays():
    design = netlist(4)
    assert split_clock_gates(design, 4) == 1
    assert design == netlist(4)
