import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from lsp_keras.runs.files.records import (
    diagnosis_folder,
    find_records,
    known_records,
    model_name,
    records_folder,
    write_record,
)
from lsp_keras.zoo import locate


def classifier(path, run=None, fingerprint="0123456789abcdef", records=None):
    source = SimpleNamespace(fingerprint=fingerprint)
    return SimpleNamespace(path=path, run=run, source=source, records=records)


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("models/digits/3", "digits-3"),
        ("models/digits.keras", "digits"),
        ("http://localhost:8501/v1/models/digits", "localhost-8501-digits"),
        ("grpc://host:8500/v1/models/a/versions/2", "host-8500-a-versions-2"),
        ("of mine & yours.h5", "of-mine-yours"),
    ],
)
def test_a_name_is_safe_as_a_folder(path, name) -> None:
    assert model_name(classifier(path)) == name
    assert records_folder(classifier(path)) == Path("evaluations") / f"{name}-01234567"


def test_a_run_keeps_its_own_records_and_the_zoo_none(tmp_path) -> None:
    own = classifier(tmp_path / "model.keras", tmp_path / "r", records=tmp_path / "r/evaluations")
    assert records_folder(own) == tmp_path / "r/evaluations"
    assert diagnosis_folder(own) == tmp_path / "r/diagnosis"
    assert records_folder(own, tmp_path / "mine") == tmp_path / "mine"
    zoo = locate("zoo:cifar10_robust")
    kept = records_folder(classifier(zoo / "model.keras", zoo))
    assert kept == Path("evaluations/zoo-cifar10_robust-01234567")
    assert diagnosis_folder(classifier(zoo / "model.keras", zoo)) == kept / "diagnosis"
    assert known_records(classifier(zoo / "model.keras", zoo)) == [kept, zoo / "evaluations"]
    assert known_records(own) == [tmp_path / "r/evaluations"]


def test_only_records_of_these_weights_are_found_the_newest_first(tmp_path) -> None:
    first = write_record(tmp_path, "quick", {"model_fingerprint": "a", "number": 1})
    write_record(tmp_path, "quick", {"model_fingerprint": "b"})
    last = write_record(tmp_path, "", {"model_fingerprint": "a", "number": 2})
    (tmp_path / "9.json").write_text("{")
    (tmp_path / "8.json").write_text(json.dumps([1]))
    assert [path for path, _ in find_records(tmp_path, "a")] == [last, first]
    assert [record["number"] for _, record in find_records(tmp_path, "a")] == [2, 1]
    assert list(find_records(tmp_path, None)) == []
    assert list(find_records(tmp_path / "nowhere", "a")) == []


def test_records_of_one_moment_get_names_of_their_own_in_order(tmp_path) -> None:
    paths = [write_record(tmp_path / "a", "pgd", {"n": number}) for number in range(20)]
    assert sorted(paths) == paths
    assert [json.loads(path.read_text())["n"] for path in paths] == list(range(20))
    assert all(path.name.endswith("-pgd.json") for path in paths)
    assert not write_record(tmp_path, "", {}).stem.endswith("-")
