"""Checks of user input and their messages."""

import math
import os
import socket
from pathlib import Path

import pytest

from lsp_keras.validation import (
    InputError,
    check_choice,
    check_file,
    check_positive,
    check_shape,
    parse_epsilon,
    parse_fraction,
)


@pytest.mark.parametrize(
    ("text", "value"),
    [("8/255", 8 / 255), (" 1 / 3 ", 1 / 3), ("0.5/255", 0.5 / 255), ("0.03", 0.03), (2, 2.0)],
)
def test_parse_fraction_is_the_nearest_float(text: str, value: float) -> None:
    assert parse_fraction(text) == value


@pytest.mark.parametrize(
    "text",
    [
        *("8/0", "eight", "1/2/3", "", "/255", None, 10**5000, "9" * 10**6 + "x"),
        *("1e999999999/3", "1/1e999999999", "9" * 5000 + "/1"),
    ],
    ids=range(11),
)
def test_parse_fraction_refuses_other_text(text: str) -> None:
    with pytest.raises(InputError, match=r"number or a fraction such as 8/255"):
        parse_fraction(text)


def test_epsilon_of_8_is_taken_for_8_over_255() -> None:
    with pytest.raises(InputError, match=r"\(0, 1\]\. Received: epsilon=8\..*did you mean 8/255\?"):
        parse_epsilon(8)


@pytest.mark.parametrize("epsilon", [0, -0.1, math.nan, math.inf])
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_epsilon_must_be_positive_and_finite(epsilon: float, norm: str) -> None:
    with pytest.raises(InputError, match="`epsilon` must be"):
        parse_epsilon(epsilon, norm)


def test_l2_radius_may_exceed_one() -> None:
    assert parse_epsilon(3.0, "l2") == parse_epsilon("3", "l2") == 3.0


def test_unknown_choice_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r"one of 'linf', 'l2'.*Did you mean 'linf'\?"):
        check_choice("norm", "l_inf", ["linf", "l2"])


def test_positive() -> None:
    check_positive("weight", 0, allow_zero=True)
    with pytest.raises(InputError, match="`weight` must be greater than zero"):
        check_positive("weight", 0)
    with pytest.raises(InputError, match="`weight` must be zero or more"):
        check_positive("weight", math.nan, allow_zero=True)
    with pytest.raises(InputError) as caught:
        check_positive("weight", 10**4000)
    assert len(str(caught.value)) < 300


def test_shape() -> None:
    check_shape("images", (None, 8, 8, 3), 4, "(batch, height, width, channels)")
    with pytest.raises(InputError, match=r"\(batch, height, width, channels\).*shape=\(8, 8, 3\)"):
        check_shape("images", (8, 8, 3), 4, "(batch, height, width, channels)")


@pytest.mark.parametrize("kind", ["pipe", "device", "link to a device", "socket", "long"])
def test_files_that_do_not_end_are_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path = Path("/dev/zero")
    elif kind == "link to a device":
        path.symlink_to("/dev/zero")
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
    else:
        path.write_bytes(bytes(11))
    with pytest.raises(InputError, match=f"{path} cannot be read"):
        check_file(path, 10)


def test_files_folders_and_what_is_not_there_pass(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(10))
    (tmp_path / "link").symlink_to("nowhere")
    for path in (tmp_path / "file", tmp_path, tmp_path / "nothing", tmp_path / "link"):
        check_file(path, 10)
