"""Numbers of things are said as people say them."""

import pytest

from mbt_cli.words import count, ends, p_value, unit_of


def test_one_is_one_and_all_else_is_many():
    assert [count(n, "clip") for n in (0, 1, 2, 1234)] == [
        "0 clips", "1 clip", "2 clips", "1,234 clips",
    ]  # fmt: skip
    assert [count(n, "class", "has", "have") for n in (1, 3)] == ["1 class has", "3 classes have"]


def test_p_is_printed_as_far_as_it_is_known():
    assert [p_value(p) for p in (0.0123, 0.00099, 1.0)] == ["= 0.012", "< 0.001", "= 1.000"]


def test_an_interval_has_a_minus_as_it_is_printed():
    assert ends(-0.0123, 0.0004) == "−0.012 to 0.000"


@pytest.mark.parametrize(
    ("gmacs", "scale", "letter"),
    [((0.0002, 0.0999), 1e3, "M"), ((0.0002, 0.1), 1.0, "G"), ((217.0,), 1.0, "G")],
)
def test_costs_are_told_in_a_unit_of_which_the_largest_is_at_least_a_tenth(gmacs, scale, letter):
    unit = unit_of(gmacs)
    assert (unit.scale, unit.letter) == (scale, letter)
    assert unit.power == {"M": "10⁶", "G": "10⁹"}[letter]
