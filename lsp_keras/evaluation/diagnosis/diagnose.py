"""Is the measured robustness real? All signs of gradient masking in one place."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.attacks import LogitsFn
from lsp_keras.classifiers import Classifier
from lsp_keras.evaluation.diagnosis import signs
from lsp_keras.evaluation.diagnosis.gradients import (
    disagreement,
    instability,
    saturation,
    unfinished,
)
from lsp_keras.evaluation.diagnosis.local_structure import LocalStructure
from lsp_keras.evaluation.diagnosis.record import Diagnosis
from lsp_keras.evaluation.diagnosis.surface import LossSurface, loss_surface
from lsp_keras.evaluation.diagnosis.trials import (
    LARGEST_EPSILONS,
    NUM_STEPS,
    Trials,
    lasting,
    plan_attacks,
    run_attacks,
)
from lsp_keras.evaluation.examples import adapted, check_examples
from lsp_keras.evaluation.flags import look_for, output_spread, raised, unmoved_images
from lsp_keras.evaluation.journal import Journal
from lsp_keras.evaluation.provenance import model_fingerprint, reading_fingerprint
from lsp_keras.inference.batches import predictor
from lsp_keras.inference.traced import TracedModel
from lsp_keras.types import Examples, Flag, Floats, Progress, ThreatModel, as_floats
from lsp_keras.validation import InputError, check_positive

Signs = dict[str, Callable[[], Flag | None]]

_SAMPLE = 64
_SURFACE_SAMPLE = 16
# PGD's default step in the attacks of the curves: the scale on which gradients must hold.
_STEP_SHARE = 2.5 / NUM_STEPS
_SKIPPED = {
    "transfer_beats_white_box": "no plain model was given to transfer from",
    "adaptive_beats_plain": "the model was not trained with LSP, or its neighbors were not given",
    "autoattack_flags": "AutoAttack was not run on this model with this radius",
}


def diagnose(
    model: LogitsFn | Classifier,
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    threat: ThreatModel | str | float,
    batch_size: int = 128,
    seed: int = 0,
    num_queries: int = 1000,
    transfer_from: LogitsFn | Classifier | None = None,
    structure: LocalStructure | None = None,
    autoattack: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    journal: Path | None = None,
    context: Mapping[str, Any] | None = None,
) -> Diagnosis:
    """Looks for every sign that gradient attacks are misled.

    Args:
        model: Any classifier, see `evaluate`.
        images: Images, `(n, height, width, channels)`, float in [0, 1] or uint8.
        labels: Labels, int `(n,)`.
        threat: What the attacker may do, under L-inf or L2; `"8/255"` or a number is a radius
            under L-inf.
        batch_size: Images attacked at once.
        seed: Seed of the attacks' random draws.
        num_queries: Queries of the square attack.
        transfer_from: A plain model, to see whether images made against it break this one.
        structure: Local structure of the images, for a model trained with LSP: what an attack on
            its LSP term needs to know.
        autoattack: AutoAttack's record of this model, as `Report.to_dict` gives it.
        progress: Function that is called after every attack with its description, its number and
            their number.
        journal: Folder to keep verdicts in until the record is made; the same diagnosis, started
            again after it was killed, goes on from there.
        context: What the record should say besides.

    Raises:
        InputError: Images, labels and models do not fit, or the norm is L1.

    References:
        Athalye et al., Obfuscated Gradients Give a False Sense of Security, 2018.
        Carlini et al., On Evaluating Adversarial Robustness, 2019.
    """
    started = time.monotonic()
    threat = ThreatModel.of(threat)
    if threat.norm not in LARGEST_EPSILONS:
        raise InputError(f"`threat` must be L-inf or L2. Received: norm={threat.norm!r}.")
    check_positive("batch_size", batch_size)
    examples = check_examples(images, labels, None)
    pixels = as_floats(examples.images)
    classifier = adapted(model, examples, ["diagnose"])
    traced = TracedModel(classifier.model, pixels.shape[1:])
    predict = predictor(traced.attacked, batch_size)
    plan = plan_attacks(
        threat,
        num_queries=num_queries,
        transfer_from=_source_logits(transfer_from, classifier, examples),
        structure=None if structure is None else structure.under(predict, len(pixels)),
    )
    own = model_fingerprint(classifier.source)
    reading = reading_fingerprint(own, classifier)
    kept = Journal.open(journal, reading, examples, lasting(plan), batch_size=batch_size, seed=seed)
    trials = run_attacks(
        plan,
        traced,
        pixels,
        examples.labels,
        batch_size=batch_size,
        seed=seed,
        progress=progress,
        journal=kept,
    )
    checks, failed = look_for(
        {
            **_signs_between_attacks(trials),
            **_signs_in_gradients(trials, threat, seed),
            **_signs_of_autoattack(trials, autoattack),
        }
    )
    made = {check.name for check in checks} | set(failed)
    skipped = {name: reason for name, reason in _SKIPPED.items() if name not in made}
    found = Diagnosis(
        threat=threat,
        checks=checks,
        skipped=skipped | failed,
        remarks=_remarks(trials, classifier, float(np.abs(predict(pixels)).max(axis=1).mean())),
        accuracies={group: trials.accuracies(group) for group in plan},
        white_box_accuracy=float(trials.white_box.mean()),
        surface=_surface(trials, predict, seed),
        num_examples=len(pixels),
        num_classes=classifier.num_classes,
        seed=seed,
        model_fingerprint=own,
        seconds=time.monotonic() - started,
        context={**(context or {}), "classifier": classifier.describe()},
    )
    kept.close()
    return found


def _source_logits(
    source: LogitsFn | Classifier | None, classifier: Classifier, examples: Examples
) -> LogitsFn | None:
    """Logits of the model to transfer from.

    Raises:
        InputError: It knows other images or another number of classes.
    """
    if source is None:
        return None
    found = adapted(source, examples, ["transfer_from"])
    if found.num_classes != classifier.num_classes:
        raise InputError(
            f"`transfer_from` must have the model's {classifier.num_classes} classes. "
            f"Received: a model with {found.num_classes}."
        )
    return found.model


def _signs_between_attacks(trials: Trials) -> Signs:
    count = len(trials.labels)
    by_radius, by_steps = trials.accuracies("radius"), trials.accuracies("steps")
    largest = max(by_radius)
    fgsm = min(trials.accuracies("fgsm").values())
    looks: Signs = {
        "accuracy_stays_up": lambda: signs.accuracy_stays_up(by_radius[largest], largest, count),
        "more_steps_hurt": lambda: signs.more_steps_hurt(by_steps, count),
        "fgsm_beats_iterative": lambda: signs.fgsm_beats_iterative(
            fgsm, min(by_steps.values()), count
        ),
        "temperature_matters": lambda: signs.temperature_matters(
            trials.accuracies("temperature"), count
        ),
        "black_box_beats_white_box": lambda: signs.black_box_beats_white_box(
            trials.lead("square"), count
        ),
    }
    if "transfer" in trials.standing:
        looks["transfer_beats_white_box"] = lambda: signs.transfer_beats_white_box(
            trials.lead("transfer"), count
        )
    if "structure" in trials.standing:
        looks["adaptive_beats_plain"] = lambda: signs.adaptive_beats_plain(
            trials.lead("structure"), count
        )
    return looks


def _signs_in_gradients(trials: Trials, threat: ThreatModel, seed: int) -> Signs:
    logits_fn = trials.logits_fn
    images, labels = trials.images[:_SAMPLE], trials.labels[:_SAMPLE]
    step: dict[str, Any] = {"radius": _STEP_SHARE * threat.epsilon, "norm": threat.norm}
    strongest = trials.strongest
    blind = ~strongest.success & ~strongest.moved
    return {
        "unmoved_images": lambda: unmoved_images(int(blind.sum()), len(blind)),
        "saturated_softmax": lambda: signs.saturated_softmax(saturation(logits_fn, images, labels)),
        "unstable_gradients": lambda: signs.unstable_gradients(
            instability(logits_fn, images, labels, **step, seed=seed), step["radius"]
        ),
        "shattered_gradients": lambda: signs.shattered_gradients(
            disagreement(logits_fn, images, labels, **step, seed=seed), step["radius"]
        ),
        "unfinished_optimization": lambda: signs.unfinished_optimization(
            _left_to_climb(trials, threat)
        ),
        "randomized_outputs": lambda: output_spread(logits_fn, images),
    }


def _left_to_climb(trials: Trials, threat: ThreatModel) -> float:
    """Mean over images that stand, of what `unfinished` says; 0 where none does."""
    strongest = trials.strongest
    rows = np.flatnonzero(~strongest.success)[:_SAMPLE]
    if not rows.size:
        return 0.0
    left = unfinished(
        trials.logits_fn,
        trials.images[rows],
        strongest.images[rows],
        trials.labels[rows],
        threat=threat,
    )
    return float(left.mean())


def _signs_of_autoattack(trials: Trials, record: Mapping[str, Any] | None) -> Signs:
    if record is None:
        return {}
    white_box = float(trials.white_box.mean())
    return {
        "autoattack_flags": lambda: signs.autoattack_flags(record),
        "autoattack_far_below": lambda: signs.autoattack_far_below(white_box, record),
    }


def _remarks(trials: Trials, classifier: Classifier, scale: float) -> list[Flag]:
    by_constant = trials.accuracies("constant")
    decides = signs.constant_decides(by_constant, scale, len(trials.labels))
    return raised([decides, *classifier.flags])


def _surface(trials: Trials, predict: Callable[[Floats], Floats], seed: int) -> LossSurface:
    """Around the first images that the model is right on, or simply the first ones."""
    rows = np.flatnonzero(trials.left("clean"))[:_SURFACE_SAMPLE]
    rows = rows if rows.size else np.arange(len(trials.labels))[:_SURFACE_SAMPLE]
    return loss_surface(
        predict,
        trials.images[rows],
        trials.strongest.images[rows],
        trials.labels[rows],
        seed=seed,
    )
