"""The notebook runs from its first cell to its last, and was last saved with what it shows."""

import json
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "examples" / "tour.ipynb"


def cells() -> list[dict[str, Any]]:
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def test_each_cell_was_saved_with_what_it_shows() -> None:
    for cell in cells():
        assert cell["outputs"], "".join(cell["source"])
        assert all(output["output_type"] != "error" for output in cell["outputs"])


@pytest.mark.slow
def test_the_notebook_runs_and_tells_what_it_claims(capsys) -> None:
    names: dict[str, Any] = {}
    for cell in cells():
        exec(compile("".join(cell["source"]), str(NOTEBOOK), "exec"), names)
    robust = {name: report.worst_case.value for name, report in names["reports"].items()}
    assert robust["adversarial"] > robust["standard"] + 0.1
    said = capsys.readouterr().out
    standard, held = (
        int(said.partition(f"\ncifar10_{kind}: ")[2].split()[0]) for kind in ("standard", "robust")
    )
    assert held > standard + 3
    assert names["prediction"].name == str(names["test"].labels[0])
