"""Names of files that are made from what users named."""

import re
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from lsp_keras.cli._paths import as_file_name
from lsp_keras.cli.mine import command as mine
from lsp_keras.cli.pretrain import command as pretrain
from lsp_keras.validation import InputError


def test_a_name_of_a_dataset_is_one_part_of_a_path() -> None:
    assert as_file_name("folder:../photos") == "folder_photos"
    assert as_file_name("tfds:mnist/3d") == "tfds_mnist_3d"
    assert as_file_name("tiny_imagenet@32") == "tiny_imagenet_32"


def test_long_names_are_cut_and_stay_different() -> None:
    names = {as_file_name(f"folder:/{letter * 300}/photos") for letter in "abc"}
    assert len(names) == 3
    assert max(map(len, names)) < 100


@pytest.mark.parametrize(("command", "suffix"), [(mine, ".npz"), (pretrain, ".keras")])
def test_a_file_that_nothing_would_read_is_refused_before_the_work(
    command: click.Command, suffix: str, tmp_path: Path
) -> None:
    for name in ("result", f"result{suffix.upper()}", "result.json", suffix):
        with pytest.raises(InputError, match=f"--output must end in {re.escape(suffix)}. Received"):
            arguments = ["--dataset", "no such one", "--output", str(tmp_path / name)]
            CliRunner().invoke(command, arguments, catch_exceptions=False)
