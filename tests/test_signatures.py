"""Arguments as they are written, read without running the file."""

import inspect
from collections.abc import Iterable
from pathlib import Path
from typing import Any, get_args

import pytest

from lsp_keras import choices, registry
from lsp_keras.attacks._gradient import STARTS
from lsp_keras.classifiers import load
from lsp_keras.neighbors import SPACES
from lsp_keras.neighbors.search import INDEXES
from lsp_keras.ops import objectives, resizing
from lsp_keras.regularizers._passes import PASSES
from lsp_keras.regularizers.lfr import _FORMS
from lsp_keras.signatures import (
    REQUIRED,
    Argument,
    arguments_of,
    attribute_of,
    read_source,
    takes_arguments_of,
)
from lsp_keras.training import SCHEDULES

FILE = '''
"""A unit."""

from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from lsp_keras.choices import Registered
from lsp_keras.types import Norm

if TYPE_CHECKING:
    from lsp_keras.attacks import Attack

__all__ = ["Unit"]

FIRST, SECOND = "first", "second"
Other = Literal["first", "second"]


class Base:
    """A base.

    Args:
        kept: Text of the base.
    """

    mark: ClassVar[dict[str, int]] = {"a": 1}

    def __init__(self, kept: int, *, attack: "Attack", norm: Norm = "linf", other: Other = FIRST,
                 maybe: float | str | None = None, flag: bool = True, any: Any = None,
                 choice: Annotated[str, Registered("divergence")] = SECOND) -> None:
        pass


class Unit(Base):
    """A unit.

    Args:
        norm: Text of the unit, on
            two lines with `code`.
        maybe: Text.

    Raises:
        InputError: Not an argument.
    """
'''


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "unit.py"
    path.write_text(FILE)
    return path


def test_an_inherited_constructor_with_the_texts_of_both_classes(file: Path) -> None:
    assert arguments_of(file, "Unit") == {
        "kept": Argument("kept", (int,), help="Text of the base."),
        "attack": Argument("attack"),
        "norm": Argument(
            "norm",
            (str,),
            default="linf",
            choices=("linf", "l2", "l1"),
            help="Text of the unit, on two lines with code.",
        ),
        "other": Argument("other", (str,), default="first", choices=("first", "second")),
        "maybe": Argument("maybe", (float, str), optional=True, default=None, help="Text."),
        "flag": Argument("flag", (bool,), default=True),
        "any": Argument("any", default=None),
        "choice": Argument("choice", (str,), default="second", registered="divergence"),
    }


def test_attributes_are_inherited(file: Path) -> None:
    assert attribute_of(file, "Unit", "mark") == {"a": 1}
    assert attribute_of(file, "Unit", "other") is None


def test_public_names(file: Path) -> None:
    assert read_source(file).public == ["Unit"]


def test_a_default_that_must_be_computed_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "computed.py"
    path.write_text("def unit(size: int = len('abc')) -> None: ...\n")
    with pytest.raises(TypeError, match=r"computed\.py:1: the default of a setting must be a lit"):
        arguments_of(path, "unit")


@pytest.mark.parametrize("kind", [kind for kind in registry.KINDS if kind != "recipe"])
def test_what_is_read_is_what_python_sees(kind: str) -> None:
    """Of every registered unit: names, and the defaults of settings."""
    for name in registry.names(kind):
        read, unit = registry.arguments(kind, name), registry.get(kind, name)
        if not callable(unit):
            assert not read
            continue
        seen = inspect.signature(unit).parameters
        assert list(read) == list(seen), name
        for argument in read.values():
            if argument.is_setting and argument.default is not REQUIRED:
                assert argument.default == seen[argument.name].default, (name, argument.name)


@pytest.mark.parametrize(
    ("chosen", "table"),
    [
        (choices.ScheduleName, SCHEDULES),
        (choices.ObjectiveName, objectives.OBJECTIVES),
        (choices.StartName, STARTS),
        (choices.NeighborBatchNorm, [*PASSES, "joint"]),
        (choices.FlatnessForm, _FORMS),
        (choices.ResizeMode, resizing.MODES),
        (choices.SpaceName, SPACES),
        (choices.IndexName, ["auto", *INDEXES]),
        (choices.WeightsName, load._FILES),
    ],
)
def test_choices_are_those_that_there_are(chosen: object, table: Iterable[str]) -> None:
    """They stand in one place that needs no TensorFlow, apart from what they choose."""
    assert set(get_args(chosen)) == set(table)


def lend(size: int, *, name: str = "small") -> tuple[int, str]:
    """A function.

    Args:
        size: Text of the size.
        name: Text of
            the name.

    Returns:
        Both.
    """
    return size, name


@takes_arguments_of(lend)
def borrow(**given: Any) -> tuple[int, str]:
    """Another one.

    Returns:
        The size doubled.
    """
    return 2 * given["size"], given["name"]


def test_a_function_takes_the_arguments_of_another_one() -> None:
    assert borrow(2) == (4, "small")
    assert borrow(size=3, name="large") == (6, "large")
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        borrow(2, width=1)  # type: ignore[call-arg]
    assert inspect.signature(borrow) == inspect.signature(lend)
    read = arguments_of(Path(__file__), "borrow")
    assert read == arguments_of(Path(__file__), "lend")
    assert read["name"].help == "Text of the name."
    assert "Another one." in (borrow.__doc__ or "")
    assert "the name." in (borrow.__doc__ or "")
