"""Names of records."""

import json
from pathlib import Path

from lsp_keras.runs.records import write_record


def test_records_of_one_moment_get_names_of_their_own_in_order(tmp_path: Path) -> None:
    paths = [write_record(tmp_path / "a", "pgd", {"n": number}) for number in range(20)]
    assert sorted(paths) == paths
    assert [json.loads(path.read_text())["n"] for path in paths] == list(range(20))
    assert all(path.name.endswith("-pgd.json") for path in paths)
    assert not write_record(tmp_path, "", {}).stem.endswith("-")
