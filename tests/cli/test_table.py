"""`lsp-keras table` on the digits: trained, attacked, written, and found again."""

import csv
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from lsp_keras.cli.table import command


def table(folder: Path, *arguments: object) -> Result:
    options = ["--dataset", "digits", "--scale", "tiny", "--jobs", "0", *map(str, arguments)]
    places = ["--runs-dir", str(folder / "runs"), "--output", str(folder / "tables")]
    result = CliRunner().invoke(command, [*options, *places])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.mark.usefixtures("small_network")
def test_a_table_is_made_once_and_found_again(tmp_path: Path) -> None:
    made = table(tmp_path, 3, "--rows", "standard")
    assert made.exit_code == 0
    assert "at scale tiny: 256 training images" in made.stdout
    assert "not the published setting" in made.stdout
    runs = sorted((tmp_path / "runs").glob("*/config.toml"))
    records = sorted((tmp_path / "runs").glob("*/evaluations/*.json"))
    # Two balls: CW's, which has no bound, and PGD's.
    assert (len(runs), len(records)) == (1, 2)
    with (tmp_path / "tables" / "table_3_digits_tiny.csv").open() as file:
        cells = {(row["row"], row["column"]): row for row in csv.DictReader(file)}
    record = next(item for item in map(read, records) if "pgd" in item["attacks"])
    cell = cells["standard", "pgd 2/255"]
    assert float(cell["value"]) == round(100 * record["attacks"]["pgd"]["accuracy"]["value"], 4)
    assert cell["images"] == "64"
    assert cell["scale"] == "tiny"
    assert "num_steps=10" in cell["settings"]

    again = table(tmp_path, 3, "--rows", "standard", "--found-only")
    assert again.stdout == made.stdout
    # What was killed between two records goes on with the one that is missing.
    records[0].unlink()
    resumed = table(tmp_path, 3, "--rows", "standard")
    assert numbers(resumed.stdout) == numbers(made.stdout)
    assert "Training" not in resumed.stderr
    assert len(list((tmp_path / "runs").glob("*/evaluations/*.json"))) == 2


def test_nothing_is_made_where_only_what_is_found_counts(tmp_path: Path) -> None:
    found = table(tmp_path, 1, "--rows", "standard", "--found-only", "--seeds", 2, "--json")
    assert found.exit_code == 0
    assert json.loads(found.stdout)["numbers"] == []
    text = (tmp_path / "tables" / "table_1_digits_tiny.md").read_text()
    assert "- standard, seed 1: not trained." in text
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_table_1_of_the_paper_in_processes_of_their_own(tmp_path: Path) -> None:
    made = table(tmp_path, 1, "--jobs", 1)
    assert made.exit_code == 0
    for row in ("standard", "mixup", "cutmix", "augmix", "lsp"):
        assert f"| {row} | 1 |" in made.stdout
    assert "failed" not in made.stdout


def read(path: Path) -> dict:
    return json.loads(path.read_text())


def numbers(markdown: str) -> list[str]:
    """The lines of the table."""
    return [line for line in markdown.splitlines() if line.startswith("|")]
