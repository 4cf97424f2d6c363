"""Numbers as sentences and tables have them."""

from collections.abc import Iterable
from typing import NamedTuple

TINY = 5e-4
"""Below half of the last digit that is printed."""


def count(n: int, noun: str, one: str = "", many: str = "") -> str:
    """1 clip, 2 clips, 3 classes; with a verb, as in `count(n, "clip", "is", "are")`."""
    nouns = noun if n == 1 else f"{noun}{'es' if noun.endswith('s') else 's'}"
    return " ".join(filter(None, (f"{n:,}", nouns, one if n == 1 else many)))


class Unit(NamedTuple):
    """In which costs are told."""

    scale: float
    """How many of it 10⁹ are."""
    letter: str
    """Before MACs and FLOPs."""
    power: str


GIGA, MEGA = Unit(1.0, "G", "10⁹"), Unit(1e3, "M", "10⁶")


def unit_of(gmacs: Iterable[float]) -> Unit:
    """MMACs where every cost is below a tenth of a GMAC, else GMACs."""
    return MEGA if max(gmacs) < 0.1 else GIGA


def signed(value: float) -> str:
    """With its sign, and a minus as it is printed; nothing is not negative."""
    return "0.000" if abs(value) < TINY else f"{value:+.3f}".replace("-", "−")


def ends(low: float, high: float) -> str:
    """From where to where an interval reaches."""
    return f"{signed(low)} to {signed(high)}"


def percent(share: float) -> str:
    """A share, in whole percent."""
    return f"{100 * share:.0f} %"


def p_value(p: float) -> str:
    """What stands after p: = 0.012, or < 0.001."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"
