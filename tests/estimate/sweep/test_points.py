"""Points of a sweep and their costs."""

import csv

import pytest

from analog_models.spec import load_preset
from common.errors import SpecError
from estimate.sweep.design import design_of
from estimate.sweep.points import Costs, Point, costs_of, mark_front, sort_out, write_csv

SPEC = load_preset()
HERE = design_of(SPEC)


def point(cost, error, **changes):
    return Point(HERE._replace(**changes), Costs(cost, cost, cost, cost), error)


def test_the_front_is_one_for_each_value_of_the_axes_given():
    points = [point(1, 0.1, window=64), point(2, 0.2), point(3, 0.3)]
    apart = mark_front(points, ["energy", "error"], ["window"])
    assert [p.pareto for p in apart] == [True, True, False]
    together = mark_front(points, ["energy", "error"], [])
    assert [p.pareto for p in together] == [True, False, False]
    assert all(p.pareto for p in mark_front(points, ["error"], ["window", "leakage"])[:2])


def test_the_specification_costs_what_its_head_does(head, measured, circuits):
    possible, refused = sort_out(SPEC, [HERE, HERE._replace(q_levels=1)])
    costs = costs_of(possible[HERE], circuits, measured, "synthesis")
    energy_j = head.token_energy(measured.activity).value
    assert costs == Costs(head.latency_s, head.period_s, energy_j, head.area().value)
    assert refused[HERE._replace(q_levels=1)].startswith("levels.q = 1: ")


def test_a_schedule_that_there_is_not_is_an_error():
    with pytest.raises(SpecError, match="no schedule 'fast'"):
        sort_out(SPEC, [HERE._replace(schedule="fast")])


def test_a_finer_count_takes_longer_and_more(measured, circuits):
    finer = HERE._replace(out_bits=5)
    possible, _ = sort_out(SPEC, [HERE, finer])
    one, more = (costs_of(possible[d], circuits, measured, "synthesis") for d in (HERE, finer))
    assert more.latency_s == pytest.approx(one.latency_s + 32e-9, abs=0)
    assert one.energy_j < more.energy_j < 2 * one.energy_j


def test_the_table_has_a_line_for_each_design(tmp_path):
    refused = {HERE._replace(window=96): "too odd"}
    path = write_csv(tmp_path / "t.csv", [point(1, 0.1)], refused)
    with path.open() as file:
        first, second = csv.DictReader(file)
    assert (first["error"], first["refused"]) == ("0.1", "")
    assert (second["window"], second["error"], second["refused"]) == ("96", "", "too odd")
