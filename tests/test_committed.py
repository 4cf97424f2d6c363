"""The reports in the repository follow from the records beside them: as on anybody's clone."""

import shutil
from pathlib import Path

import pytest

from mbt_cli.audit import audit
from mbt_cli.report import texts
from mbt_cli.study import study

RESULTS = Path(__file__).parents[1] / "results"
REPORTS = sorted(file.parent.name for file in RESULTS.glob("*/records.zip"))


def test_there_are_some() -> None:
    assert {"fusion_layer-synthetic", "modalities-synthetic"} <= set(REPORTS)


@pytest.mark.parametrize("name", REPORTS)
def test_every_number_follows_from_the_records(name: str, tmp_path: Path) -> None:
    shutil.copytree(RESULTS / name, tmp_path / name)
    asked = study(tmp_path, name)
    found = audit(asked, tmp_path, lambda of, records: texts(of, records, tmp_path / of.name))
    assert found.differences == ()
    assert found.records == tmp_path / name / "records.zip"
    assert found.numbers > 1000
