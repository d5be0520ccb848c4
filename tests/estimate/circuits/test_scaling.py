from estimate.circuits.scaling import scale_logic
from tests.estimate.si import approx


def test_nothing_changes_at_the_same_node_and_supply():
    assert scale_logic(45e-9, 1.0, 45e-9, 1.0)[:2] == (1, 1)
    assert scale_logic(180e-9, 1.8, 180e-9, 1.8)[:2] == (1, 1)


def test_nodes_of_the_table_have_its_values():
    """The polynomials of Stillmaker and Baas, with the supply of each node."""
    at_32 = scale_logic(45e-9, 1.1, 32e-9, 0.9)
    expected = (0.9559 * 0.81 - 0.7823 * 0.9 + 0.471) / (1.103 * 1.21 - 0.362 * 1.1 + 0.2767)
    assert at_32.energy == approx(expected) and at_32.area == approx(0.46)


def test_a_node_between_two_lies_between_them():
    ends = [scale_logic(45e-9, 1.1, node, 0.9) for node in (32e-9, 20e-9)]
    between = scale_logic(45e-9, 1.1, 28e-9, 0.9)
    for low, value, high in zip(ends[1][:2], between[:2], ends[0][:2], strict=True):
        assert low < value < high
    plain = (28 / 45) * (0.9 / 1.1) ** 2, (28 / 45) ** 2
    assert between.energy == approx(plain[0], rel=0.2)  # two methods, one answer
    assert between.area == approx(plain[1], rel=0.05)


def test_beyond_the_table_the_plain_rule_holds():
    factors = scale_logic(180e-9, 1.8, 28e-9, 0.9)
    assert factors.energy == approx(28 / 180 / 4) and "plain" in factors.method
    assert factors.area == approx((28 / 180) ** 2)
