"""Clean and robust accuracy of a classifier."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.attacks import Attack, LogitsFn, Unperturbed, inference_logits
from lsp_keras.evaluation._examples import Examples, as_floats, check_examples
from lsp_keras.evaluation._flags import (
    Flag,
    fgsm_beats_iterative,
    randomized_outputs,
    zero_gradients,
)
from lsp_keras.evaluation._logits import find_logits
from lsp_keras.evaluation._provenance import hardware, model_fingerprint, versions
from lsp_keras.evaluation._report import AttackRecord, Report
from lsp_keras.evaluation._shares import Share
from lsp_keras.types import Floats, Integers, ThreatModel
from lsp_keras.validation import InputError

_SAMPLE = 64

Progress = Callable[[str, int, int, int], None]
Booleans = npt.NDArray[np.bool_]


def evaluate(
    model: LogitsFn,
    images: npt.ArrayLike,
    labels: npt.ArrayLike,
    *,
    attacks: Mapping[str, Attack],
    threat: ThreatModel,
    batch_size: int = 128,
    seed: int = 0,
    indices: npt.ArrayLike | None = None,
    progress: Progress | None = None,
    context: Mapping[str, Any] | None = None,
) -> Report:
    """Measures accuracy without an attack, under each attack, and under all of them.

    An example counts as robust only if the model is right on it and no attack changed that.
    Random draws belong to an image's index, so batch size and order change no verdict.

    Args:
        model: Any Keras classifier, with logits or probabilities, or a callable images ->
            logits.
        images: `(n, height, width, channels)`, float in [0, 1] or uint8.
        labels: int `(n,)`.
        attacks: Attacks by the name they are reported under, all within `threat`.
        threat: What the attacker may do.
        batch_size: Images attacked at once.
        seed: Of the attacks' random draws.
        indices: int `(n,)`, what identifies each image; default its place.
        progress: Called after every batch with the attack's name, the images it has done, the
            images it was given, and how many of those done still stand.
        context: What the record should say besides, for example the dataset.

    Raises:
        InputError: Attacks exceed the threat model, or images, labels and model do not fit.
        NonFiniteError: Logits are NaN or infinite.

    Example:
        >>> threat = ThreatModel.parse("8/255")
        >>> attacks = {"pgd": PGD(epsilon=threat.epsilon)}               # doctest: +SKIP
        >>> report = evaluate(model, images, labels, attacks=attacks, threat=threat)
        ...                                                              # doctest: +SKIP
        >>> report.worst_case.value                                      # doctest: +SKIP
        0.43
    """
    started = time.monotonic()
    _check_attacks(attacks, threat)
    examples = check_examples(images, labels, indices, batch_size)
    sample = as_floats(examples.images[:_SAMPLE])
    logits_fn, output_flags = find_logits(model, sample)

    def run(name: str, attack: Attack, standing: Booleans) -> Booleans:
        return _run_attack(
            name, attack, logits_fn, examples, standing, seed=seed, progress=progress
        )

    everything = np.ones(len(examples.labels), bool)
    unperturbed = Unperturbed(epsilon=threat.epsilon, norm=threat.norm)
    correct = run("clean", unperturbed, everything)
    flags = [*_model_flags(logits_fn, sample, examples.labels[:_SAMPLE]), *output_flags]
    records, worst = [], correct
    for name, attack in attacks.items():
        attack_started = time.monotonic()
        robust = run(name, attack, correct)
        seconds = time.monotonic() - attack_started
        records.append(
            AttackRecord(name, type(attack).__name__, attack.get_config(), _share(robust), seconds)
        )
        worst = worst & robust
    accuracies = {record.name: record.accuracy for record in records}
    return Report(
        threat=threat,
        clean=_share(correct),
        attacks=records,
        worst_case=_share(worst),
        flags=[*fgsm_beats_iterative(attacks, accuracies), *flags],
        seed=seed,
        batch_size=batch_size,
        model_fingerprint=model_fingerprint(model),
        versions=versions(),
        hardware=hardware(),
        seconds=time.monotonic() - started,
        context=dict(context or {}),
    )


def _share(verdicts: Booleans) -> Share:
    return Share(int(verdicts.sum()), len(verdicts))


def _model_flags(logits_fn: LogitsFn, sample: Floats, labels: Integers) -> list[Flag]:
    logits = inference_logits(logits_fn)
    return [*randomized_outputs(logits, sample), *zero_gradients(logits, sample, labels)]


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


def _run_attack(
    name: str,
    attack: Attack,
    logits_fn: LogitsFn,
    examples: Examples,
    standing: Booleans,
    *,
    seed: int,
    progress: Progress | None,
) -> Booleans:
    """Which of the standing examples still stand after the attack, `(n,)`."""
    robust = standing.copy()
    rows = np.flatnonzero(standing)
    done = 0
    for chosen, images, labels, indices in examples.batches(rows):
        result = attack(logits_fn, images, labels, seed=seed, indices=indices)
        robust[chosen] = ~result.success[: len(chosen)]
        done += len(chosen)
        if progress is not None:
            progress(name, done, len(rows), int(robust[rows[:done]].sum()))
    return robust
