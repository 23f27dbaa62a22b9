"""Which versions are served."""

import pytest

from lsp_keras.serving.models.versions import VersionPolicy, find_versions


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


def test_only_folders_with_integer_names_count(tmp_path) -> None:
    for name in ("1", "0002", "v3", ".4", "5.tmp", "-6"):
        (tmp_path / name).mkdir()
    (tmp_path / "7").write_text("a file")
    assert find_versions(tmp_path) == {1: tmp_path / "1", 2: tmp_path / "0002"}
    assert find_versions(tmp_path / "missing") == {}
