"""The model that a command attacks: from a file, or behind a server."""

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lsp_keras.validation import InputError

if TYPE_CHECKING:
    from lsp_keras.classifiers import Classifier

_SAMPLED = 8


@contextlib.contextmanager
def open_target(
    model: Path | None,
    url: str | None,
    weights: str,
    load_images: Callable[[Any], Any],
    attacks: Mapping[str, Any],
    reading: Mapping[str, Any],
) -> Iterator[tuple["Classifier", Any]]:
    """The model with its test images, while it is attacked.

    Args:
        model: Run, .keras file or SavedModel.
        url: URL of a served model instead.
        weights: Epoch of a run: `"best"`, `"last"` or `"ema"`.
        load_images: Function from the `Classifier`, or `None`, to its
            `lsp_keras.types.TestSplit`.
        attacks: Attacks by name, to refuse those that a served model cannot answer.
        reading: Arguments `pixel_range` and `output`, see `lsp_keras.classifiers.read`.

    Raises:
        InputError: None or both are given, or an attack needs gradients that a server hides.
    """
    from lsp_keras.classifiers import load_classifier

    if (model is None) == (url is None):
        raise InputError("Give a run or model to attack, or --url, and not both.")
    if url is None:
        classifier = load_classifier(str(model), weights=weights, **reading)
        yield classifier, load_images(classifier)
        return
    needy = [name for name, attack in attacks.items() if attack.uses_gradients]
    if needy:
        raise InputError(
            f"A served model gives no gradients, which {', '.join(needy)} need. "
            "Use --suite black-box, or attack the model's file."
        )
    yield from _remote_target(url, load_images(None), reading)


def _remote_target(
    url: str, test: Any, reading: Mapping[str, Any]
) -> Iterator[tuple["Classifier", Any]]:
    import numpy as np
    import tensorflow as tf

    from lsp_keras.classifiers import PixelRange, parse_pixel_range, read
    from lsp_keras.classifiers.remote import RemoteClassifier
    from lsp_keras.serving.client.client import Client, ClientError

    with Client(url) as client:
        try:
            text = reading["pixel_range"]
            pixels = PixelRange() if text is None else parse_pixel_range(text)
            # Not of the test images, of which each shard of an evaluation has others.
            shape = (_SAMPLED, *test.split.images.shape[1:])
            sample = np.random.default_rng(0).random(shape, np.float32)
            remote = RemoteClassifier(client, url, pixels.apply(sample), reading["output"])
        except ClientError as error:
            raise click.ClickException(str(error)) from error
        try:
            yield read(remote, pixel_range=text).located(url, None), test
        except tf.errors.OpError as error:
            if remote.error is None:
                raise
            raise click.ClickException(f"{url} failed: {remote.error}") from error
