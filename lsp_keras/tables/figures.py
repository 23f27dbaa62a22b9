"""What the paper's figures show, measured: losses over training, and distances in two spaces."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.stats

from lsp_keras.attacks.pgd import PGD
from lsp_keras.classifiers import load_classifier
from lsp_keras.runs.settings.toml_file import read_config
from lsp_keras.runs.subjects.local_structure import structure_of
from lsp_keras.runs.subjects.test_images import load_images
from lsp_keras.tables.paper import Request, paper_plan
from lsp_keras.tables.rows import Row
from lsp_keras.types import Floats, as_floats
from lsp_keras.validation import InputError

_EPSILON = "2/255"
_STEPS = 10
# Logits of so many images are computed at once.
_BATCH = 256


@dataclass(frozen=True)
class Distances:
    """Where an image's neighbors and its attacked version lie.

    Attributes:
        features: Distances to each neighbor in the encoder's features, float `(n, m)`, in parts of
            the mean over the image's neighbors.
        logits: Distances to each neighbor in the network's logits, float `(n, m)`, likewise in
            parts of their mean.
        attacked: Distances in the logits to the attacked image, float `(k,)`, in parts of the mean
            distance to the neighbors there, for the images that the network is right on.
        source: How neighbors were found.
    """

    features: Floats
    logits: Floats
    attacked: Floats
    source: str

    @property
    def correlation(self) -> float:
        """Mean over the images of Spearman's rank correlation of both distances."""
        pairs = zip(self.features, self.logits, strict=True)
        found = [scipy.stats.spearmanr(one, other).statistic for one, other in pairs]
        return float(np.nanmean(found))


def loss_rows(request: Request) -> list[Row]:
    """Figure 3's rows: the plain network and Mixup, with the LSP loss measured, not trained on."""
    (lsp,) = paper_plan(replace(request, number=1, rows=["lsp"])).rows
    measured = lsp.config.changed(lsp_weight=0.0)
    return [
        Row("standard", measured, recipe=lsp.recipe),
        Row("mixup", measured.changed(method="mixup"), recipe=lsp.recipe),
    ]


def distance_rows(request: Request) -> list[Row]:
    """Figure 2's rows: the same network trained without LSP and with it, as in Table 1."""
    return list(paper_plan(replace(request, number=1, rows=["standard", "lsp"])).rows)


def distances(
    run: Path,
    structured: Path,
    *,
    num_images: int,
    data_dir: Path | None = None,
    cache_dir: Path | None = None,
) -> Distances:
    """Distances of test images to their nearest training images, in features and in logits.

    Args:
        run: The network that is measured.
        structured: A run with LSP, whose encoder finds the neighbors.
        num_images: Test images.
        data_dir: Folder of the data, in place of the run's.
        cache_dir: Where encoders are kept.

    Raises:
        InputError: The second run was not trained with LSP.
    """
    dataset = load_images(structured, dataset=None, data_dir=data_dir, cache_dir=cache_dir)
    test = dataset.test.take(num_images)
    settings = read_config(structured / "config.toml")
    structure, source = structure_of(
        settings, dataset, test.images, cache_dir=cache_dir, run=structured
    )
    if structure is None:
        raise InputError(f"{structured} shows no neighbors: {source}.")
    classifier = load_classifier(run)
    images = as_floats(test.images)
    result = PGD(epsilon=_EPSILON, num_steps=_STEPS)(
        classifier.model, images, test.labels, seed=0, batch_size=_BATCH
    )

    def logits(batch: Floats) -> Floats:
        parts = np.array_split(batch, max(1, len(batch) // _BATCH))
        return np.concatenate([np.asarray(classifier.model(part)) for part in parts])

    own, moved = logits(images), logits(result.images)
    neighbors = structure.neighbor_images
    flat = logits(as_floats(neighbors.reshape(-1, *neighbors.shape[2:])))
    apart = np.linalg.norm(flat.reshape(*neighbors.shape[:2], -1) - own[:, np.newaxis], axis=-1)
    # Images that are misclassified already are not attacked.
    right = (own.argmax(axis=1) == test.labels) & (apart.mean(axis=1) > 0)
    attacked = np.linalg.norm(moved - own, axis=1)[right] / apart.mean(axis=1)[right]
    return Distances(_in_parts(structure.neighbor_distances), _in_parts(apart), attacked, source)


def _in_parts(values: Floats) -> Floats:
    """Each row divided by its mean; rows of zeros stay."""
    mean = values.mean(axis=1, keepdims=True)
    return np.divide(values, mean, out=np.zeros_like(values), where=mean > 0)
