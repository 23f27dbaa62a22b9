"""How sure of itself a classifier is, and how far perturbations move it inside.

What the regularization analysis of adversarial robustness measures: margins, confidence,
entropy, calibration, gaps between training and test, singular values, feature changes.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy.typing as npt

from lsp_keras.attacks import LogitsFn
from lsp_keras.attacks.pgd import PGD
from lsp_keras.classifiers import Classifier
from lsp_keras.evaluation.examples import adapted, check_examples
from lsp_keras.evaluation.profile.answers import Answers, answers
from lsp_keras.evaluation.profile.feature_change import FeatureChange, feature_changes
from lsp_keras.evaluation.profile.layers import kernel_layers
from lsp_keras.evaluation.profile.singular_values import Spectrum, spectrum
from lsp_keras.evaluation.provenance import hardware, model_fingerprint, versions
from lsp_keras.inference.batches import compiled, perturb, predictor
from lsp_keras.types import Examples, Floats, Progress, ThreatModel
from lsp_keras.validation import check_positive

_NUM_STEPS = 20
_FEATURE_SAMPLE = 64
_FEATURE_BATCH = 32

Labeled = tuple[npt.ArrayLike, npt.ArrayLike]


@dataclass(frozen=True)
class Profile:
    """What was measured of one model.

    Attributes:
        threat: The attack's ball.
        answers: Answers on `"train_clean"`, `"train_adversarial"`, `"test_clean"` and
            `"test_adversarial"`; without training images the last two alone.
        spectra: Singular values of each dense and convolutional layer, in the model's order.
        feature_changes: Feature changes of the same layers, on test images.
        seed: Seed of the attack and of random directions.
        model_fingerprint: Fingerprint of architecture and weights.
        seconds: Wall time.
        context: What the caller knows besides.
    """

    threat: ThreatModel
    answers: Mapping[str, Answers]
    spectra: Sequence[Spectrum]
    feature_changes: Sequence[FeatureChange]
    seed: int
    model_fingerprint: str | None
    seconds: float
    context: Mapping[str, Any] = field(default_factory=dict)

    @property
    def gaps(self) -> dict[str, dict[str, float]]:
        """Test less training images in loss and error, clean and adversarial."""
        if "train_clean" not in self.answers:
            return {}
        pairs = {
            kind: (self.answers[f"train_{kind}"], self.answers[f"test_{kind}"])
            for kind in ("clean", "adversarial")
        }
        return {
            kind: {
                "loss": float(test.losses.mean() - train.losses.mean()),
                "error": test.error - train.error,
            }
            for kind, (train, test) in pairs.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "model_fingerprint": self.model_fingerprint,
            **self.context,
            "threat_model": self.threat.to_dict(),
            "answers": {name: part.to_dict() for name, part in self.answers.items()},
            "train_test_gaps": self.gaps,
            "singular_values": [part.to_dict() for part in self.spectra],
            "feature_changes": [part.to_dict() for part in self.feature_changes],
            "seed": self.seed,
            "versions": dict(versions()),
            "hardware": dict(hardware()),
            "seconds": round(self.seconds, 3),
        }


def profile(
    model: LogitsFn | Classifier,
    *,
    test: Labeled,
    train: Labeled | None = None,
    threat: ThreatModel | str | float,
    batch_size: int = 128,
    seed: int = 0,
    progress: Progress | None = None,
    context: Mapping[str, Any] | None = None,
) -> Profile:
    """Measures margins, confidence, calibration, singular values and feature changes.

    The attack is PGD with 20 steps on every image, also on those that are misclassified
    without it. Layers are looked into in functional Keras models only.

    Args:
        model: Any classifier, see `evaluate`.
        test: Images `(n, height, width, channels)`, float in [0, 1] or uint8, and labels.
        train: Images that the model was trained on, and labels.
        threat: What the attacker may do, under L-inf or L2; `"8/255"` or a number is a radius
            under L-inf.
        batch_size: Images at once.
        seed: Seed of the attack and of random directions.
        progress: Function that is called with what was done, its number and the number of steps.
        context: What the record should say besides.

    Raises:
        InputError: Images, labels and model do not fit, or the norm is L1.

    References:
        Wen, Li and Jia, Towards Understanding the Regularization of Adversarial Robustness on
        Neural Networks, 2020.
    """
    started = time.monotonic()
    threat = ThreatModel.of(threat)
    check_positive("batch_size", batch_size)
    splits = {"train": train, "test": test}
    examples = {
        name: check_examples(*split, None).as_floats()
        for name, split in splits.items()
        if split is not None
    }
    classifier = adapted(model, examples["test"], ["profile"])
    logits_fn = compiled(classifier.model, examples["test"].images.shape[1:])
    attack = PGD(epsilon=threat.epsilon, norm=threat.norm, num_steps=_NUM_STEPS)
    steps = _Steps(progress, len(examples) + 2)
    measured: dict[str, Answers] = {}
    attacked: dict[str, Floats] = {}
    for name, part in examples.items():
        attacked[name] = perturb(
            attack, logits_fn, part.images, part.labels, seed=seed, batch_size=batch_size
        )
        predict = predictor(logits_fn, batch_size)
        measured[f"{name}_clean"] = answers(predict(part.images), part.labels)
        measured[f"{name}_adversarial"] = answers(predict(attacked[name]), part.labels)
        steps.done(f"{name} images")
    spectra, changes = _inside(classifier.model, examples["test"], attacked["test"], seed, steps)
    return Profile(
        threat=threat,
        answers=measured,
        spectra=spectra,
        feature_changes=changes,
        seed=seed,
        model_fingerprint=model_fingerprint(classifier.source),
        seconds=time.monotonic() - started,
        context={**(context or {}), "classifier": classifier.describe()},
    )


class _Steps:
    """Counts what is done."""

    def __init__(self, progress: Progress | None, total: int) -> None:
        self._progress = progress
        self._total = total
        self._count = 0

    def done(self, what: str) -> None:
        """One step more."""
        self._count += 1
        if self._progress is not None:
            self._progress(what, self._count, self._total)


def _inside(
    logits_fn: LogitsFn, examples: Examples, attacked: Floats, seed: int, steps: _Steps
) -> tuple[list[Spectrum], list[FeatureChange]]:
    """Singular values and feature changes of the layers; none where there are no layers."""
    layers = kernel_layers(logits_fn)
    spectra = [spectrum(layer) for layer in layers]
    steps.done("singular values")
    changes = []
    if layers:
        changes = feature_changes(
            logits_fn,
            layers,
            examples.images[:_FEATURE_SAMPLE],
            attacked[:_FEATURE_SAMPLE],
            seed=seed,
            batch_size=_FEATURE_BATCH,
        )
    steps.done("features")
    return spectra, changes
