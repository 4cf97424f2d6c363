"""Numbers of things are said as people say them."""

from mbt_cli.words import count


def test_one_is_one_and_all_else_is_many():
    assert [count(n, "clip") for n in (0, 1, 2, 1234)] == [
        "0 clips", "1 clip", "2 clips", "1,234 clips",
    ]  # fmt: skip
    assert [count(n, "class", "has", "have") for n in (1, 3)] == ["1 class has", "3 classes have"]
