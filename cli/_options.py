"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def train_options(command: Command) -> Command:
    """Adds `--dataset`, `--num-train` and `--validation-size`: which training images."""
    dataset = click.option(
        "--dataset",
        default="digits",
        show_default=True,
        help="A name from `lsp-keras list datasets`, tfds:NAME or folder:PATH.",
    )
    num_train = click.option("--num-train", type=int, help="Use only this many training images.")
    validation_size = click.option(
        "--validation-size",
        type=int,
        help="Training images held out.  [default: a tenth, at most 1,000]",
    )
    return dataset(num_train(validation_size(command)))


def weights_option(command: Command) -> Command:
    """Adds `--weights`: the command gets `weights`."""
    weights = click.option(
        "--weights",
        type=click.Choice(["best", "last", "ema"]),
        default="best",
        show_default=True,
        help="Which epoch of a run; ema: the best average of its weights.",
    )
    return weights(command)


def reading_options(command: Command) -> Command:
    """Adds how a model of anyone's is read: the command gets `pixel_range`, `model_output`."""
    pixel_range = click.option(
        "--pixel-range",
        metavar="LOW,HIGH",
        help="What the model takes for pixels, such as 0,255; or torch or caffe, as in "
        "keras.applications.  [default: what its first layers tell, else 0,1]",
    )
    output = click.option(
        "--model-output",
        metavar="NAME",
        help="Which output holds the classes, where the model has several.",
    )
    return pixel_range(output(command))


def attack_options(command: Command) -> Command:
    """Adds what measuring a model under attack needs.

    These are `--epsilon`, `--dataset`, `--data-dir`, `--cache-dir`, `--weights`,
    `--pixel-range`, `--model-output`, `--batch-size` and `--seed`.
    """
    epsilon = click.option(
        "--epsilon", help="Radius on the [0, 1] scale.  [default: 8/255; L2: 128/255]"
    )
    dataset = click.option(
        "--dataset", help="Other than the run's own; needed for a file outside of a run."
    )
    batch_size = click.option(
        "--batch-size",
        type=click.IntRange(1),
        default=128,
        show_default=True,
        help="Images attacked at once; changes no verdict.",
    )
    seed = click.option("--seed", type=int, default=0, show_default=True, help="Of random draws.")
    shared = data_options(weights_option(reading_options(batch_size(seed(command)))))
    return epsilon(dataset(shared))


def data_options(command: Command) -> Command:
    """Adds `--data-dir` and `--cache-dir`: the command gets `data_dir` and `cache_dir`."""
    data = click.option(
        "--data-dir",
        type=click.Path(file_okay=False, path_type=Path),
        envvar="TFDS_DATA_DIR",
        show_envvar=True,
        help="Folder of prepared TFDS datasets.  [default: ~/tensorflow_datasets]",
    )
    return data(cache_option(command))


def cache_option(command: Command) -> Command:
    """Adds `--cache-dir`: the command gets `cache_dir`."""
    cache = click.option(
        "--cache-dir",
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for what is made once and used again.  [default: ~/.cache/lsp-keras]",
    )
    return cache(command)
