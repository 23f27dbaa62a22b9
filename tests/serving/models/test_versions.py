"""Which versions are served."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_keras.serving.models.versions import VersionPolicy, find_versions, version_number


@pytest.mark.parametrize(
    ("policy", "chosen"),
    [
        (VersionPolicy(), {7}),
        (VersionPolicy(latest=2), {3, 7}),
        (VersionPolicy(latest=None), {1, 3, 7}),
        (VersionPolicy(specific=frozenset({1, 9})), {1}),
    ],
)
def test_policies(policy, chosen) -> None:
    assert policy.choose([3, 7, 1]) == chosen


def test_only_folders_with_version_numbers_count(tmp_path) -> None:
    largest = str(2**63 - 1)
    for name in ("1", "0002", "v3", ".4", "5.tmp", "-6", "+7", "8_0", "٣", "²", largest):
        (tmp_path / name).mkdir()
    (tmp_path / str(2**63)).mkdir()
    (tmp_path / ("9" * 250)).mkdir()
    (tmp_path / "7").write_text("a file")
    assert find_versions(tmp_path) == {
        1: tmp_path / "1",
        2: tmp_path / "0002",
        2**63 - 1: tmp_path / largest,
    }


def test_a_missing_base_path_is_no_empty_one(tmp_path) -> None:
    with pytest.raises(FileNotFoundError):
        find_versions(tmp_path / "missing")
    with pytest.raises(NotADirectoryError):
        (tmp_path / "file").touch()
        find_versions(tmp_path / "file")


@given(st.text() | st.from_regex(r"[0-9]{1,5000}", fullmatch=True) | st.integers().map(str))
def test_a_version_number_is_the_integer_that_int64_can_hold(name: str) -> None:
    number = version_number(name)
    digits = set(name) <= set("0123456789") and len(name) > 0
    expected = int(name.lstrip("0")[:20] or "0") if digits else 2**63
    assert number == (expected if expected < 2**63 else None)
