"""The images an evaluation is made on, and the model as it is read there."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lsp_keras.classifiers import Classifier, probe, read, sample_rows
from lsp_keras.inference.logits import LogitsFn
from lsp_keras.types import Examples, as_floats
from lsp_keras.validation import InputError, check_integers, check_shape


def check_examples(
    images: npt.ArrayLike, labels: npt.ArrayLike, indices: npt.ArrayLike | None
) -> Examples:
    """The arrays as examples of one length, the images of the type that they have.

    Raises:
        InputError: There are none, or lengths or types do not fit.
    """
    pixels = np.asarray(images)
    check_shape("images", pixels.shape, 4, "(batch, height, width, channels)")
    if len(pixels) == 0:
        raise InputError("`images` must hold at least one image. Received: none.")
    targets = check_integers("labels", labels, len(pixels))
    keys = np.arange(len(pixels)) if indices is None else np.asarray(indices)
    return Examples(pixels, targets, keys)


def adapted(
    model: LogitsFn | Classifier, examples: Examples, needy: Sequence[str] = ()
) -> Classifier:
    """The model as a classifier, probed on a sample of the examples.

    Args:
        model: Model, of any form that `lsp_keras.classifiers.read` takes.
        examples: Images and labels.
        needy: What needs gradients.

    Raises:
        InputError: The model cannot be read, the images do not fit, or it lacks gradients.
    """
    classifier = read(model)
    if needy and not classifier.has_gradients:
        raise InputError(
            f"The model gives no gradients, which {', '.join(needy)} need: it is served or takes "
            "uint8. Use the suite black-box, or the model's own file."
        )
    rows = sample_rows(len(examples))
    return probe(classifier, as_floats(examples.images[rows]), examples.labels[rows])
