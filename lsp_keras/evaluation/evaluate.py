"""Clean and robust accuracy of a classifier."""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.attacks import Attack, LogitsFn, Unperturbed, inference_logits
from lsp_keras.classifiers import Classifier
from lsp_keras.evaluation.adversarial_examples import AdversarialExamples
from lsp_keras.evaluation.examples import adapted, check_examples
from lsp_keras.evaluation.flags import look_for, output_spread, raised
from lsp_keras.evaluation.journal import Journal
from lsp_keras.evaluation.provenance import (
    hardware,
    model_fingerprint,
    reading_fingerprint,
    versions,
)
from lsp_keras.evaluation.report import AttackRecord, Report, pack_verdicts
from lsp_keras.evaluation.runner import CLEAN, Runner, share_of
from lsp_keras.evaluation.signs import signs_of
from lsp_keras.evaluation.suites import suite_attacks
from lsp_keras.inference.traced import TracedModel
from lsp_keras.types import EvaluationProgress, ThreatModel, as_floats
from lsp_keras.validation import InputError, check_positive

_SAMPLE = 64


def evaluate(
    model: LogitsFn | Classifier,
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    attacks: Mapping[str, Attack] | None = None,
    suite: str = "quick",
    threat: ThreatModel | str | float = "8/255",
    batch_size: int = 128,
    seed: int = 0,
    indices: npt.ArrayLike | None = None,
    progress: EvaluationProgress | None = None,
    journal: Path | None = None,
    examples_dir: Path | None = None,
    context: Mapping[str, Any] | None = None,
) -> Report:
    """Measures accuracy without an attack, under each attack, and under all of them.

    An example counts as robust only if the model is right on it and no attack changed that.
    Each attack runs on all images that the model is right on; an ensemble such as AutoAttack
    runs each of its parts on what the ones before left, and gets a record for each.
    Random draws belong to an image's index, so batch size and order change no verdict.

    Args:
        model: Any Keras classifier or callable of images, whatever its scale of pixels and its
            answers, see `lsp_keras.classifiers.read`.
        images: Images, `(n, height, width, channels)`, float in [0, 1] or uint8.
        labels: Labels, int `(n,)`.
        attacks: Attacks by the name they are reported under, all within `threat`.
        suite: Name of a suite instead of `attacks`: `"quick"`, `"autoattack"` or `"black-box"`.
        threat: What the attacker may do; text such as `"8/255"`, or a number, is a radius under
            L-inf.
        batch_size: Images attacked at once.
        seed: Seed of the attacks' random draws.
        indices: Numbers that identify each image, int `(n,)`; default its place.
        progress: Function that is called on the way with the attack's name, the share of its work
            that is done, the images it was given, and how many are not known to be broken.
        journal: Folder to keep verdicts in until the report is made; the same evaluation,
            started again after it was killed, goes on from there.
        examples_dir: Folder for the attacked images, one `ATTACK.npz` for each attack, see
            `AdversarialExamples`; default keeps none.
        context: What the record should say besides, for example the dataset.

    Raises:
        InputError: Attacks exceed the threat model, or images, labels and model do not fit.
        NonFiniteError: Logits are NaN or infinite.

    Example:
        >>> report = evaluate(model, images, labels, suite="autoattack")  # doctest: +SKIP
        >>> report.worst_case.value                                       # doctest: +SKIP
        0.43
    """
    started = time.monotonic()
    threat = ThreatModel.of(threat)
    attacks = suite_attacks(suite, threat) if attacks is None else attacks
    _check_attacks(attacks, threat)
    check_positive("batch_size", batch_size)
    examples = check_examples(images, labels, indices)
    sample = as_floats(examples.images[:_SAMPLE])
    needy = [name for name, attack in attacks.items() if attack.uses_gradients]
    classifier = adapted(model, examples, needy)
    own = model_fingerprint(classifier.source)
    reading = reading_fingerprint(own, classifier)
    kept = Journal.open(journal, reading, examples, attacks, batch_size=batch_size, seed=seed)
    traced = TracedModel(classifier.model, sample.shape[1:])
    moved = np.zeros(len(examples), bool)
    with AdversarialExamples.kept_in(examples_dir) as images_kept:
        runner = Runner(
            traced,
            classifier.num_classes,
            examples,
            batch_size,
            seed,
            kept,
            progress,
            images_kept,
            moved,
        )
        clean = Unperturbed(epsilon=threat.epsilon, norm=threat.norm)
        correct = runner.attack(CLEAN, clean, np.ones(len(examples), bool))
        records: list[AttackRecord] = []
        worst = correct
        verdicts: dict[str, str] = {}
        for name, attack in attacks.items():
            standing, found = runner.record(name, attack, correct)
            records.extend(found)
            worst = worst & standing
            verdicts[name] = pack_verdicts(standing)
        if images_kept is not None:
            images_kept.write()
    # The report is made before its signs: one that fails cannot take the numbers with it.
    report = Report(
        threat=threat,
        clean=share_of(correct),
        attacks=records,
        worst_case=share_of(worst),
        num_classes=classifier.num_classes,
        flags=classifier.flags,
        seed=seed,
        batch_size=batch_size,
        model_fingerprint=own,
        versions=versions(),
        hardware=hardware(),
        seconds=time.monotonic() - started,
        verdicts=verdicts | {"clean": pack_verdicts(correct), "worst_case": pack_verdicts(worst)},
        context={**(context or {}), "classifier": classifier.describe()},
        unmoved=int((worst & ~moved).sum()),
    )
    signs, unchecked = look_for(
        signs_of(report)
        | {"randomized_outputs": lambda: output_spread(inference_logits(classifier.model), sample)}
    )
    kept.close()
    flags = [*raised(signs), *classifier.flags]
    return replace(report, flags=flags, unchecked=unchecked, seconds=time.monotonic() - started)


def _check_attacks(attacks: Mapping[str, Attack], threat: ThreatModel) -> None:
    if not attacks:
        raise InputError("`attacks` must name at least one attack. Received: none.")
    for name, attack in attacks.items():
        if attack.norm != threat.norm or attack.epsilon != threat.epsilon:
            raise InputError(
                f"Attack {name!r} has norm={attack.norm!r}, epsilon={attack.epsilon:g}, but the "
                f"threat model is norm={threat.norm!r}, epsilon={threat.epsilon:g}. Robust "
                "accuracy is only comparable within one threat model."
            )
