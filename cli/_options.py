"""Options that several commands share."""

import contextlib
import functools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast, get_args

import click

from lsp_keras.choices import ResizeMode, WeightsName
from lsp_keras.cli._paths import MachinePath
from lsp_keras.runs.settings.config import READING

Command = TypeVar("Command", bound=Callable[..., Any])


def train_options(command: Command) -> Command:
    """Adds `--dataset`, `--num-train`, `--validation-size`, `--data-seed`: which images."""
    dataset = click.option(
        "--dataset",
        default="digits",
        show_default=True,
        help="A name from `lsp-keras list datasets`, tfds:NAME, folder:PATH or prepared:PATH.",
    )
    num_train = click.option("--num-train", type=int, help="Use only this many training images.")
    validation_size = click.option(
        "--validation-size",
        type=int,
        help="Training images held out.  [default: a tenth, at most 1,000]",
    )
    data_seed = click.option(
        "--data-seed",
        type=click.IntRange(0),
        default=0,
        show_default=True,
        help="Seed of the choice of images: those held out, and those that limits keep.",
    )
    return dataset(num_train(validation_size(data_seed(command))))


def image_options(command: Command) -> Command:
    """Adds options for how images are read: the command gets them as `reading`, a dictionary.

    They are arguments of `lsp_keras.datasets.load`.
    """

    @functools.wraps(command)
    def packed(*args: Any, **values: Any) -> Any:
        reading = {name: values.pop(name) for name in READING}
        return command(*args, reading=reading, **values)

    options = (
        click.option(
            "--image-size",
            metavar="SIZE|HEIGHTxWIDTH",
            help="Size of all images.  [default: the source's; of a folder that of most images]",
        ),
        click.option(
            "--resize",
            type=click.Choice(get_args(ResizeMode)),
            default="crop",
            show_default=True,
            help="What is done to images of another size than --image-size.",
        ),
        click.option(
            "--channels", type=int, help="3 for RGB, 1 for gray.  [default: the source's]"
        ),
        click.option("--split-train", help="Split or folder to train on.  [default: the usual]"),
        click.option("--split-test", help="Split or folder to test on.  [default: the usual]"),
    )
    for option in reversed(options):
        packed = option(packed)
    return cast(Command, packed)


def quiet_option(command: Command) -> Command:
    """Adds `--quiet`, under which the command writes its results and errors and nothing else."""

    @functools.wraps(command)
    def silenced(*args: Any, quiet: bool, **values: Any) -> Any:
        if not quiet:
            return command(*args, **values)
        with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stderr(nowhere):
            return command(*args, **values)

    option = click.option("--quiet", is_flag=True, help="No header and no progress.")
    return cast(Command, option(silenced))


def weights_option(command: Command) -> Command:
    """Adds `--weights`: the command gets `weights`."""
    weights = click.option(
        "--weights",
        type=click.Choice(get_args(WeightsName)),
        default="best",
        show_default=True,
        help="Epoch of a run; ema: the best average of its weights.",
    )
    return weights(command)


def reading_options(command: Command) -> Command:
    """Adds how a model of anyone's is read: the command gets `pixel_range`, `model_output`."""
    pixel_range = click.option(
        "--pixel-range",
        metavar="LOW,HIGH",
        help="Range of pixels that the model takes, such as 0,255; or torch or caffe, as in "
        "keras.applications.  [default: what its first layers tell, else 0,1]",
    )
    output = click.option(
        "--model-output",
        metavar="NAME",
        help="Output that holds the classes, where the model has several.",
    )
    return pixel_range(output(command))


def attack_options(command: Command) -> Command:
    """Adds what measuring a model under attack needs.

    These are `--epsilon`, `--dataset`, `--data-dir`, `--cache-dir`, `--weights`,
    `--pixel-range`, `--model-output`, `--batch-size` and `--seed`.
    """
    epsilon = click.option(
        "--epsilon", help="Radius on the [0, 1] scale.  [default: 8/255; L2: 128/255; L1: 12]"
    )
    dataset = click.option(
        "--dataset", help="Dataset other than the run's own; needed for a file outside of a run."
    )
    batch_size = click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=128,
        show_default=True,
        help="Images attacked at once; changes no verdict.",
    )
    seed = click.option(
        "--seed", type=int, default=0, show_default=True, help="Seed of the random draws."
    )
    shared = data_options(weights_option(reading_options(batch_size(seed(command)))))
    return epsilon(dataset(shared))


def norm_option(command: Command) -> Command:
    """Adds `--norm`, of the two norms that a diagnosis has attacks in."""
    norm = click.option(
        "--norm",
        type=click.Choice(["linf", "l2"]),
        default="linf",
        show_default=True,
        help="Norm of the perturbation.",
    )
    return norm(command)


def data_options(command: Command) -> Command:
    """Adds `--data-dir` and `--cache-dir`: the command gets `data_dir` and `cache_dir`."""
    data = click.option(
        "--data-dir",
        type=MachinePath(file_okay=False, path_type=Path),
        envvar="TFDS_DATA_DIR",
        show_envvar=True,
        help="Folder of prepared TFDS datasets.  [default: ~/tensorflow_datasets]",
    )
    return data(cache_option(command))


def cache_option(command: Command) -> Command:
    """Adds `--cache-dir`: the command gets `cache_dir`."""
    cache = click.option(
        "--cache-dir",
        type=MachinePath(file_okay=False, path_type=Path),
        help="Folder for what is made once and used again.  [default: ~/.cache/lsp-keras]",
    )
    return cache(command)
