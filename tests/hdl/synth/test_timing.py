import pytest

from hdl.synth import timing

REPORT = """
Startpoint: control/cell_1 (positive level-sensitive latch clocked by clk')
Endpoint: control/cell_2
          (rising clock gating-check end-point clocked by clk)
             0.9000   data arrival time
            -0.9000   data arrival time
             0.1000   slack (MET)

Startpoint: counter/cell_3
            (rising edge-triggered flip-flop clocked by clk)
Endpoint: counter/cell_4 (rising edge-triggered flip-flop clocked by clk)
             1.1500   data arrival time
            -1.1500   data arrival time
            -0.2000   slack (VIOLATED)
"""


def test_the_path_with_the_least_slack_is_taken(tmp_path, monkeypatch):
    from hdl.synth.cell_library import LIBRARIES

    written = []
    library = LIBRARIES["osu018"]
    monkeypatch.setattr(type(library), "liberty", lambda self: tmp_path / "x.lib")

    def run(script, folder, name):
        written.append(script)
        return (
            f"component counter\n{REPORT}component idle\nNo paths found.\ncomponent phi to row\n"
            + (
                "Startpoint: phi[0] (input port)\nEndpoint: row[0] (output port)\n"
                "   0.0500   data arrival time\n"
            )
        )

    monkeypatch.setattr(timing, "run_opensta", run)
    ports = [("phi", "input", 4), ("valid", "input", 1), ("a__row", "output", 4)]
    contract = {
        "top": "head",
        "clock": {"period_ps": 1000},
        "reset": {"port": "rst"},
        "ports": [dict(zip(("name", "direction", "width"), port, strict=True)) for port in ports],
    }
    paths, through = timing.analyse_timing(tmp_path, contract, library, ["counter", "idle"])
    assert paths["counter"] == {
        "critical_path_s": pytest.approx(1.15e-9),
        "slack_s": pytest.approx(-0.2e-9),
        "from": "counter/cell_3",
        "to": "counter/cell_4",
    }
    assert set(paths["idle"].values()) == {None}
    assert through == pytest.approx(0.05e-9)
    assert "[get_ports {rst valid}]" in written[0]  # the array's pulses are asynchronous
    assert "set rows [get_ports {a__row*}]" in written[0]
