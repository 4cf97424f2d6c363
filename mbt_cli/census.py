"""What a scan found, as an account for a terminal: by split, by reason of each loss, by class."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
from rich.console import Group, RenderableType
from rich.table import Table

from mbt_cli.columns import page, table
from mbt_cli.data.fault import REASONS
from mbt_cli.data.manifest import SPLITS
from mbt_cli.data.snapshot import Snapshot, header_of
from mbt_cli.scan import REMARKS
from mbt_cli.words import count

WORST = 10
"""Classes that are listed, those that lack most clips first, where not all are asked for."""
EXAMPLES = 3
"""Clips that are named for each reason."""


def account(seen: Snapshot, *, all_classes: bool = False) -> Group:
    """Wide tables are to be printed uncropped."""
    parts: list[RenderableType] = [_head(seen), _splits(seen)]
    if losses := _losses(seen):
        parts += ["Lost:", losses]
    if remarks := _remarks(seen):
        parts += ["Remarked:", remarks]
    parts += _classes(seen, all_classes)
    parts += [f"- {note}" for note in (*seen.header["notes"], *_mends(seen), *_warnings(seen))]
    return page(*parts)


def of_scans(paths: Sequence[Path]) -> Table:
    """Frozen scans, a row each."""
    headers = [header_of(path) for path in paths]
    return table(
        ("scan", [path.stem for path in paths]),
        ("data", [header["data"]["dataset"] for header in headers]),
        ("classes", [header["class_list"] for header in headers]),
        ("fingerprint", [header["fingerprint"] for header in headers]),
        ("scanned", [header["scanned"] for header in headers]),
        ("folder", [header["root"] for header in headers]),
    )


def _head(seen: Snapshot) -> str:
    header, rows = seen.header, seen.table
    used_s = (rows["end_s"] - rows["start_s"])[rows["used"]].sum()
    hours = f"{used_s / 3600:.1f} hours" if used_s > 3600 else f"{used_s:.0f} s"
    things, in_all = "clips", f", {hours} in all"
    if seen.of_records:
        shards = count(rows["path"].nunique(), "shard")
        things = "clips" if header["data"].get("level") == "segment" else "videos"
        in_all = f", of {shards}{in_all if used_s else ''}"
    return (
        f"{len(seen.used):,} of {len(rows):,} {things} of {header['data']['dataset']} can be used"
        f"{in_all}; classes: {header['class_list']}; fingerprint {seen.fingerprint}."
    )


def _splits(seen: Snapshot) -> Table:
    rows, official = seen.table, dict(seen.header["official"])
    splits = [split for split in SPLITS if (rows["split"] == split).any() or split in official]
    listed = [int((rows["split"] == split).sum()) for split in splits]
    found = [
        int(((rows["split"] == split) & (rows["reason"] != "missing")).sum()) for split in splits
    ]
    used = [int((seen.used["split"] == split).sum()) for split in splits]
    shares = [f"{u / n:.1%}" if n else "–" for u, n in zip(used, listed, strict=True)]
    columns = [
        ("split", splits),
        ("listed", [f"{n:,}" for n in listed]),
        ("found", [f"{n:,}" for n in found]),
        ("used", [f"{n:,}" for n in used]),
        ("used / listed", shares),
    ]
    if official:
        texts = [f"{official[split]:,}" if split in official else "–" for split in splits]
        columns.insert(1, ("official list", texts))
    return table(*columns)


def _losses(seen: Snapshot) -> Table | None:
    rows = seen.table
    lost = rows[rows["reason"] != ""]
    if lost.empty:
        return None
    counts = Counter(zip(lost["reason"], lost["split"], strict=True))
    reasons = [reason for reason in REASONS if (lost["reason"] == reason).any()]
    splits = [split for split in SPLITS if (lost["split"] == split).any()]
    named = [_examples(lost[lost["reason"] == reason]) for reason in reasons]
    return table(
        ("reason", reasons),
        *((split, [f"{counts[reason, split]:,}" for reason in reasons]) for split in splits),
        ("what it means", [REASONS[reason] for reason in reasons]),
        ("such as", named),
    )


def _remarks(seen: Snapshot) -> Table | None:
    rows = seen.table[seen.table["reason"] == ""]
    found = {name: rows[rows[name]] for name in REMARKS if name in rows and rows[name].any()}
    if not found:
        return None
    left_out = seen.header["leave_out"]
    return table(
        ("remark", [*found]),
        ("clips", [f"{len(of):,}" for of in found.values()]),
        ("runs get them", ["no" if name in left_out else "yes" for name in found]),
        ("what it means", [REMARKS[name] for name in found]),
        ("such as", [_examples(of) for of in found.values()]),
    )


def _classes(seen: Snapshot, all_classes: bool) -> list[RenderableType]:
    """Those that lack most clips, and how many have none to learn from."""
    counts = class_counts(seen)
    lacking = counts[counts["used"] < counts["listed"]]
    if not all_classes and lacking.empty:
        return []
    shown = counts if all_classes else lacking.head(WORST)
    more = len(lacking) - len(shown)
    splits = [split for split in SPLITS if split in counts]
    rows = shown.to_dict("records")
    title = "Classes:" if all_classes else "Classes that lack most clips (used of listed):"
    listing = table(
        ("class", [str(row["class"]) for row in rows]),
        *((split, [str(row[split]) for row in rows]) for split in splits),
    )
    rest = [f"... and {more:,} more (--classes shows all)."] if more > 0 else []
    return [title, listing, *rest]


def class_counts(seen: Snapshot) -> pd.DataFrame:
    """Every class, in each split `used of listed` clips; first those that lack the most."""
    rows = seen.table.explode("labels")
    rows = rows[rows["labels"].notna()]
    classes = pd.Index(range(len(seen.header["classes"])))
    counts = pd.DataFrame({"class": seen.header["classes"]}, index=classes)
    for name, some in (("listed", rows), ("used", rows[rows["used"]])):
        counts[name] = some.groupby("labels").size().reindex(classes, fill_value=0)
    for split in SPLITS:
        part = rows[rows["split"] == split]
        if not part.empty:
            listed = part.groupby("labels").size().reindex(classes, fill_value=0)
            used = part[part["used"]].groupby("labels").size().reindex(classes, fill_value=0)
            counts[split] = [f"{u:,} of {n:,}" for u, n in zip(used, listed, strict=True)]
    share = counts["used"] / counts["listed"].clip(lower=1)
    return counts.assign(share=share).sort_values(["share", "listed"], kind="stable")


def _mends(seen: Snapshot) -> list[str]:
    """What was found where a setting may be wrong: the sentence says which."""
    lost = seen.table.drop_duplicates("reason").set_index("reason")["detail"]
    return [lost[reason] for reason in ("wrong_kind", "class_out_of_range") if reason in lost]


def _warnings(seen: Snapshot) -> list[str]:
    """What a user should know before runs are begun."""
    said, rows, used = [], seen.table, seen.used
    for splits, lacks in ((("train", "validation"), "trained"), (("test",), "tested")):
        none = [split for split in splits if not (used["split"] == split).any()]
        if none:
            listed = any((rows["split"] == split).any() for split in none)
            why = "can be used" if listed else "is listed"
            said.append(f"No {' or '.join(none)} clip {why}: no model can be {lacks} on these.")
    train = used[used["split"] == "train"].explode("labels")["labels"].nunique()
    if 0 < train < len(seen.header["classes"]):
        empty = count(len(seen.header["classes"]) - train, "class", "has", "have")
        said.append(f"{empty} no clip to learn from.")
    files = used.head(0) if seen.of_records else used.drop_duplicates("path")
    if twins := int(files["hash"].duplicated(keep=False).sum()):
        alike = count(twins, "clip", "has", "have")
        said.append(f"{alike} a file of the same content as another one.")
    return said


def _examples(rows: pd.DataFrame) -> str:
    more = f", ... {len(rows) - EXAMPLES:,} more" if len(rows) > EXAMPLES else ""
    return ", ".join(map(str, rows["name"].head(EXAMPLES))) + more
