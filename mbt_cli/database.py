"""MLflow's database that lies with the records: where it is, how it is made, and moved."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from mbt_cli.files import part_of, sweep


def own(results: Path) -> str:
    """The address of a results folder's database."""
    return address(results.absolute() / "mlflow.db")


def address(file: Path) -> str:
    """Of any, as MLflow takes it."""
    text = str(file).replace("%", "%25").replace("?", "%3F")
    return f"sqlite:///{text}"


def make(file: Path, artifacts: str) -> None:
    """MLflow's database, there whole or not at all: one whose making was cut short MLflow can
    neither use nor mend."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    sweep(file.parent)
    part = part_of(file)
    for old in file.parent.glob(f"{part.name}*"):  # of a process that had our number
        old.unlink()
    SqlAlchemyStore(address(part), artifacts).engine.dispose()
    try:
        os.link(part, file)
    except FileExistsError:
        pass  # made by another command meanwhile
    except OSError:  # a disk without links
        part.replace(file)
    part.unlink(missing_ok=True)


def move(file: Path, experiment: str, old: str, new: str) -> None:
    """A results folder was moved or copied: its artifacts lie beside its database again.

    MLflow has no request for that; it would go on writing to where the folder was.
    """
    with closing(sqlite3.connect(file)) as database, database:
        database.execute(
            "UPDATE experiments SET artifact_location = ? WHERE experiment_id = ?",
            (new, experiment),
        )
        database.execute(
            "UPDATE runs SET artifact_uri = ? || substr(artifact_uri, length(?) + 1)"
            " WHERE experiment_id = ? AND substr(artifact_uri, 1, length(?)) = ?",
            (new, old, experiment, f"{old}/", f"{old}/"),
        )
