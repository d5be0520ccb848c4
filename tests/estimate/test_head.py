import pytest

from common.errors import SpecError
from estimate.errors import EstimateError
from estimate.head import Head
from tests.estimate.si import approx

PARTS = ["first product", "second product", "DACs", "digital control and routing"]


def test_a_token_opens_down_to_single_actions(head, measured):
    energy = head.token_energy(measured.activity)
    assert [part.name for part in energy.parts] == PARTS
    leaves = dict(energy.leaves())
    assert sum(leaf.value for leaf in leaves.values()) == approx(energy.value)
    assert all(leaf.value > 0 and " x " in leaf.how for leaf in leaves.values())
    assert len(leaves) > 15 and ("first product", "cell currents") in leaves


def test_every_analog_action_is_taken_as_often_as_a_token_takes_it(head, measured):
    activity, columns, outputs = measured.activity, 1024, 16 * 64
    counts = {
        ("first product", "word lines"): activity["query_pulses"] * 64 * 16,
        ("first product", "cell currents"): columns,
        ("first product", "charge-to-pulse"): columns,
        ("second product", "rows"): activity["phi_pulses"] * 1024,
        ("second product", "cell currents"): outputs,
        ("second product", "charge-to-pulse"): outputs,
        ("DACs", "DAC buffers"): 64,
        ("DACs", "write lines"): 2 * 64,
        ("DACs", "cells"): 2 * 64,
    }
    energy = head.token_energy(activity)
    for path, count in counts.items():
        times = float(energy.part(*path).how.split(" x ")[0].replace(",", ""))
        assert times == approx(count, rel=1e-5), path
    first, second = (energy.part(p, "charge-to-pulse").value for p in PARTS[:2])
    assert second / first == approx(2 * 17 / 15)  # two comparators, and settle


def test_only_the_digital_part_depends_on_its_basis(head, measured):
    ours, published = (head.token_energy(measured.activity, b) for b in ("synthesis", "published"))
    for name in PARTS[:-1]:
        assert ours.part(name) == published.part(name)
    assert published.part(PARTS[-1]).value == 4e-9 > ours.part(PARTS[-1]).value
    with pytest.raises(EstimateError, match="basis = 'ours': allowed synthesis, published"):
        head.token_energy(measured.activity, "ours")


def test_cycles_are_those_of_the_rtl_or_of_the_virtual_model(head, measured, circuits):
    assert head.cycles == measured.cycles["leroux2025"] == {"latency": 65, "between": 65}
    other = measured.spec.replace(schedules__overlapped__period=54)
    assert measured.cycles_of(other, "overlapped") is None
    assert Head(other, circuits, measured, "overlapped").cycles == {"latency": 52, "between": 54}


def test_a_further_query_writes_nothing(head, measured):
    token, query = (head.token_energy(measured.activity, query_only=q) for q in (False, True))
    assert {p.name for p in query.part("DACs").parts} == {"DAC buffers"}
    assert query.part("DACs", "DAC buffers").value == approx(
        token.part("DACs", "DAC buffers").value * 55 / 65
    )
    assert query.value < token.value


def test_more_activity_costs_more(head, measured):
    least = head.token_energy(measured.activity).value
    used = measured.activity_range.keys() - {"phi_duty"}  # `row_moved` holds the widths of phi
    for name in used:
        highest = measured.activity_range[name][1]
        assert head.token_energy({**measured.activity, name: highest}).value > least, name


def test_two_capacitors_cost_area_and_nothing_else_analog(measured, circuits):
    one, two = (
        Head(measured.spec, circuits, measured, s).area() for s in ("overlapped", "pipelined")
    )
    assert two.value > one.value * 1.3
    grown = {p.name for p, q in zip(one.parts, two.parts, strict=True) if p.value != q.value}
    assert grown == {
        "charge-to-pulse, unsigned",
        "charge-to-pulse, signed",
        "channels for wires",
    }


def test_half_a_window_is_about_half_a_head(head, measured, circuits):
    half = Head(measured.spec.replace(geometry__subtiles=8), circuits, measured, "leroux2025")
    assert 0.45 < half.area().value / head.area().value < 0.55
    shares = [h.token_energy(measured.activity).part("first product").value for h in (half, head)]
    assert shares[0] / shares[1] == approx(0.5)
    assert half.leakage_w < head.leakage_w


def test_what_there_is_not_is_named(measured, circuits):
    with pytest.raises(SpecError, match="no schedule 'fast'"):
        Head(measured.spec, circuits, measured, "fast")
    with pytest.raises(EstimateError, match="library = 'tsmc28': measured are nangate45, osu018"):
        Head(measured.spec, circuits, measured, "pipelined", "tsmc28")
