"""What a reader must know beside a study's numbers: sentences, each from the records."""

from collections.abc import Iterable
from math import sqrt

from mbt_cli import gains
from mbt_cli.findings import Cell, Findings, command, machine
from mbt_cli.statistics import ENOUGH_SEEDS, summary
from mbt_cli.words import count

NAMED = 5
"""Clips left out that a note names; the rest it counts."""

UNITS = (
    "1 GMAC is 10⁹ multiply-accumulates and 1 MMAC 10⁶, each of them two floating-point operations"
    " (2 GFLOPs, 2 MFLOPs), executed for one clip and one view. What the paper calls GFLOPs are"
    " GMACs."
)

GLOSSARY = (
    ("strategy", "(fusion strategy) how sound and sight exchange information. `late`: not at all;"
     " only the outputs are averaged. `cross_attention`: each modality also reads the other's"
     " tokens. `self_attention`: one block over the tokens of all. `bottleneck`: through a few"
     " learned tokens."),
    ("L_f", "(fusion layer) the number of layers that run before fusion starts: 0 is early fusion,"
     " the model's depth is late fusion."),
    ("cell", "a point of the grid, without the seed."),
    ("seed", "moves initialisation and the order of training, never the data."),
    ("n", "how many seeds of a cell are finished."),
    ("AP", "average precision, is high where clips with a label score above those without; mAP is"
     " its mean over classes."),
    ("AUC", "the chance that a clip with the label scores above one without; 0.5 is guessing."),
    ("top1", "the share of clips whose own label has the highest score."),
    ("XOR", "one or the other, but not both."),
    ("over late", "how many more multiply-accumulates than late fusion in the same model."),
    ("interval", "holds the true difference in 95 of 100 studies like this one, with other seeds"
     " and other clips."),
)  # fmt: skip
"""Words of a report, and what they mean."""

TAGGING = (
    ("GAP", "(global average precision, GAP@20) the average precision of one list of every clip's"
     " 20 top classes, over all labels, as in the official evaluation of YouTube-8M; but that equal"
     " scores share a threshold, which there are shuffled."),
    ("mAP (pruned)", "the official one: each class's AP in the list of clips that have it among"
     " their 20 top classes, over all its positives; the mean over classes with positives."),
    ("mAP (full)", "the same where every clip's score counts. It is another number: compare like"
     " with like."),
    ("Hit@1", "the share of clips whose top class is one of their labels."),
    ("PERR", "(precision at equal recall rate) of as many top classes as a clip has labels the"
     " share that are right; the mean over clips with labels."),
    ("F1", "twice what is told and right, over all that is told and all labels; told are those of a"
     " clip's 20 top classes whose probability is at least the threshold. Micro: all clips"
     " together. Macro: the mean over classes that any clip has or is told."),
)  # fmt: skip
"""The same of clips that are tagged."""


def glossary(found: Findings) -> tuple[tuple[str, str], ...]:
    """The words of a study's report."""
    return GLOSSARY + (TAGGING if found.study.data.tagging else ())


def notes(found: Findings) -> list[str]:
    """Every note, a sentence or two each."""
    told = (_choice, _vocabularies, _seeds, _missing, _silent, _chance, _clips, _classes,
            _threshold, _gains, _mixed)  # fmt: skip
    return [*(note for tell in told for note in tell(found)), UNITS]


def _choice(found: Findings) -> Iterable[str]:
    yield (
        "Only this figure answers the question: its cell was chosen on the validation clips, and"
        " the test clips had no say in it. Every other figure here is exploratory."
    )
    top = summary(found.best.validation(found.measure))
    if top.spread is None:
        return
    others = [cell for cell in found.cells if cell.runs and cell is not found.best]
    means = [summary(cell.validation(found.measure)).mean for cell in others]
    if near := sum(mean >= top.mean - top.spread for mean in means):
        yield (
            f"On validation {count(near, 'other cell')} came within one spread of it: which of"
            " them is best, these seeds do not show."
        )


def _vocabularies(found: Findings) -> Iterable[str]:
    """Fewer labels are another question."""
    asked = dict.fromkeys(str(cell.vocabulary) for cell in found.cells)
    if len(asked) > 1:
        yield (
            f"Cells are scored on vocabularies of their own ({', '.join(asked)}). Fewer labels are"
            " an easier question: only cells of one vocabulary are compared, and which vocabulary"
            " is best, no figure here says."
        )


def _seeds(found: Findings) -> Iterable[str]:
    counts = sorted({len(cell.runs) for cell in found.cells if cell.runs})
    if counts[0] < ENOUGH_SEEDS:
        yield (
            f"Some cells have n = {counts[0]}, fewer than {ENOUGH_SEEDS} seeds: no statement about"
            " seeds is made. At n = 1 there is no spread."
        )
    if counts[-1] > 1:
        yield "After ± stands the spread: the sample standard deviation over seeds."


def _missing(found: Findings) -> Iterable[str]:
    seeds = 1 + max(run.experiment.training.seed for run in found.runs)
    planned = len(found.cells) * seeds
    if missing := planned - len(found.runs):
        yield (
            f"{missing} of {planned} runs ({count(len(found.cells), 'cell')},"
            f" {count(seeds, 'seed')}) are missing, and the choice may change with them. Go on"
            f" with: `{command(found.study, seeds)}`"
        )


def _silent(found: Findings) -> Iterable[str]:
    silent = [cell for cell in found.cells if cell.silent]
    if silent:
        yield f"By its wiring nothing is exchanged (ringed in the figures): {_list(silent)}."
    if any(_dead_end(cell) for cell in silent):
        yield (
            "What a modality writes into bottleneck tokens in the last layer, no later layer reads:"
            " expect late fusion's result there."
        )


def _dead_end(cell: Cell) -> bool:
    return cell.experiment.model.dead_end


def _chance(found: Findings) -> Iterable[str]:
    clips = min(int(n) for cell in found.cells for n in cell.test("clips"))
    margin, said = 2 / sqrt(3 * clips), []
    for group in found.study.data.groups:
        areas = [(cell, cell.test("groups", group, "AUC")) for cell in found.cells]
        at = [cell for cell, v in areas if v and abs(summary(v).mean - 0.5) < margin]
        said += [f"`{group}` with {_list(at)}"] if at else []
    if said:
        yield (
            f"Labels at chance, by their AUC: {', and '.join(said)}. Their mean AUC is within"
            f" {margin:.3f} of 0.5, two standard errors of one balanced class on {clips:,} clips."
            " Average precision knows no such level: where nothing can be told, it wanders."
        )


def _clips(found: Findings) -> Iterable[str]:
    counts = sorted({int(n) for cell in found.cells for n in cell.test("clips")})
    if any(cell.common is not None for cell in found.cells):
        yield (
            "Some runs could not read clips that others scored: all figures are over the test clips"
            " that every run scored."
        )
    yield f"Test figures are over {' or '.join(f'{n:,}' for n in counts)} clips."
    if found.study.data.expected:
        why = f" Lost: {found.study.data.lost}." if found.study.data.lost else ""
        yield f"Coverage of the expected clips: {found.study.data.coverage}.{why}"
    if lost := found.left_out:
        first = "; ".join(f"{name} ({why})" for name, why in list(lost.items())[:NAMED])
        more = f"; and {len(lost) - NAMED} more" if len(lost) > NAMED else ""
        yield f"{count(len(lost), 'clip')} could not be read, and are left out: {first}{more}."


def _classes(found: Findings) -> Iterable[str]:
    each = [of["left_out"] for _, of in found.figures]
    if many := max((one for one in each if isinstance(one, int)), default=0):
        classes = count(len(found.study.data.classes), "class")
        yield f"Left out of mAP, for want of a positive test clip: {many:,} of {classes}."
    elif names := sorted({name for one in each if not isinstance(one, int) for name in one}):
        yield f"Left out of mAP, for want of a positive test clip: {', '.join(names)}."


def _threshold(found: Findings) -> Iterable[str]:
    if not found.study.data.tagging:
        return
    known = [value for cell in found.cells for value in cell.test("F1_threshold")]
    ends = dict.fromkeys(f"{value:.3f}" for value in (min(known), max(known)))
    yield (
        "F1 on test is at the threshold at which F1 (micro) was highest on validation, each run's"
        f" own: a probability of {' to '.join(ends)}."
    )


def _gains(found: Findings) -> Iterable[str]:
    if told := gains.missing(found):
        yield told


def _mixed(found: Findings) -> Iterable[str]:
    codes = sorted({run.code for run in found.runs})
    if len(codes) > 1:
        yield (
            f"Runs of {len(codes)} versions of the code are mixed ({', '.join(codes)}). Mend it"
            f" with: `{command(found.study)} --rerun-stale`"
        )
    machines = [machine(run) for run in found.runs]
    for name in machines[0]:
        if len(values := sorted({one.get(name, "none") for one in machines})) > 1:
            yield f"Runs on different versions of {name} are mixed: {', '.join(values)}."


def _list(cells: Iterable[Cell]) -> str:
    return ", ".join(cell.name for cell in cells)
