"""Numbers of things in sentences."""


def count(n: int, noun: str, one: str = "", many: str = "") -> str:
    """1 clip, 2 clips, 3 classes; with a verb, as in `count(n, "clip", "is", "are")`."""
    nouns = noun if n == 1 else f"{noun}{'es' if noun.endswith('s') else 's'}"
    return " ".join(filter(None, (f"{n:,}", nouns, one if n == 1 else many)))
