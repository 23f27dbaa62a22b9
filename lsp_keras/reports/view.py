"""Everything that the page shows of one model, as its template takes it."""

import contextlib
import shlex
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from lsp_keras.evaluation.examples import adapted, check_examples
from lsp_keras.evaluation.share import Share
from lsp_keras.inference.batches import compiled, predictor
from lsp_keras.reports import accuracy, curves, pictures, words
from lsp_keras.reports.evidence import evidence_rows
from lsp_keras.reports.measure import Measured, Record
from lsp_keras.types import Floats, as_floats
from lsp_keras.zoo import card, is_in_zoo

_ANSWERS = {
    "train_clean": "training images",
    "train_adversarial": "training images, attacked",
    "test_clean": "test images",
    "test_adversarial": "test images, attacked",
}


def view_of(measured: Measured, target: str, *, evidence: bool = False) -> dict[str, Any]:
    """What the template is given of a model.

    Args:
        measured: What is known.
        target: What the user called the model by.
        evidence: Whether the auditor's table is wanted.
    """
    first = measured.evaluations[0]
    subject, threat = measured.subject, measured.request.threat
    info = subject.dataset.info
    predict = _predict(measured)
    labels = subject.test.labels
    answers = predict(as_floats(subject.test.images)).argmax(axis=1)
    view: dict[str, Any] = {
        "name": subject.name,
        "target": target,
        "statement": first["statement"],
        "judgement": words.judgement(first, measured.diagnosis),
        "threat": str(threat),
        "threat_sentence": words.threat_sentence(
            threat, info.image_shape, knows_model=subject.classifier.has_gradients
        ),
        "plain_result": words.plain_result(first),
        "robust": _share(first["worst_case_accuracy"]),
        "clean": _share(first["clean_accuracy"]),
        "is_autoattack": first["is_autoattack"],
        "num_images": first["num_examples"],
        "masking": _masking(measured),
        "flags": first["flags"],
        "unchecked": words.unchecked(first, measured.diagnosis, measured.left_out),
        "attacks": accuracy.attack_rows(measured.evaluations),
        "radius": curves.radius_chart(measured.diagnosis),
        "steps": curves.steps_chart(measured.diagnosis),
        "checks": _checks(measured.diagnosis),
        "num_diagnosed": (measured.diagnosis or {}).get("num_examples"),
        "classes": _classes(measured, answers == labels),
        "confusions": _confusions(measured, answers),
        "pictures": _pictures(measured, predict),
        "neighbors": _neighbors(measured),
        "training": curves.training_charts(subject.classifier.run),
        "profile": _profile(measured.profile),
        "calibration": curves.calibration_chart(measured.profile),
        "facts": _facts(measured, target),
        "commands": _commands(measured, target),
        "settings": _settings_text(measured),
    }
    view["evidence"] = evidence_rows(view, measured) if evidence else []
    return view


def _predict(measured: Measured) -> Callable[[Floats], Floats]:
    subject, batch_size = measured.subject, measured.request.batch_size
    examples = check_examples(subject.test.images, subject.test.labels, None)
    probed = adapted(subject.classifier, examples)
    return predictor(compiled(probed.model, subject.test.images.shape[1:]), batch_size)


def _share(share: Record) -> dict[str, Any]:
    return {**share, "text": str(Share(share["count"], share["total"]))}


def _masking(measured: Measured) -> str:
    """The diagnosis's verdict, or why there is none."""
    if measured.diagnosis is not None:
        return str(measured.diagnosis["verdict"])
    why = measured.left_out.get("diagnosis", "nobody asked")
    return f"Signs of gradient masking were not looked for: {why}."


def _checks(diagnosis: Record | None) -> dict[str, list[dict[str, Any]]]:
    """The signs, those that were raised apart from those that were not."""
    if diagnosis is None:
        return {}
    advice = {flag["name"]: f"{flag['meaning']} {flag['advice']}" for flag in diagnosis["flags"]}
    rows = [{**check, "advice": advice.get(check["name"], "")} for check in diagnosis["checks"]]
    return {
        "failed": [row for row in rows if row["raised"]],
        "passed": [row for row in rows if not row["raised"]],
        "remarks": list(diagnosis["remarks"]),
    }


def _classes(measured: Measured, correct: Any) -> list[dict[str, Any]]:
    """By class, of the first record whose verdicts are on these images."""
    test = measured.subject.dataset.test
    for record in measured.evaluations:
        if accuracy.agrees(record, correct):
            labels = test.labels[: record["num_examples"]]
            return accuracy.class_rows(record, labels, measured.subject.dataset.info.class_names)
    return []


def _confusions(measured: Measured, answers: Any) -> list[dict[str, Any]]:
    """Of clean images, and under the strongest attack whose images were kept."""
    subject = measured.subject
    names, labels = subject.dataset.info.class_names, subject.test.labels
    found = [
        {
            "title": f"as they are, {len(labels):,} images",
            **accuracy.confusion(labels, answers, names),
        }
    ]
    attacked = pictures.load_attacked(measured.examples)
    if attacked is not None:
        # Only what the model was right on was attacked; of the rest its mistakes stand.
        count = measured.evaluations[-1]["num_examples"]
        place = {int(index): row for row, index in enumerate(subject.test.indices[:count])}
        under = answers[:count].copy()
        rows = [place[int(index)] for index in attacked.indices]
        under[rows] = attacked.predictions
        found.append(
            {
                "title": f"under {attacked.attack}, {count:,} images",
                **accuracy.confusion(labels[:count], under, names),
            }
        )
    return found


def _pictures(measured: Measured, predict: Callable[[Floats], Floats]) -> dict[str, Any]:
    attacked = pictures.load_attacked(measured.examples)
    if attacked is None or not len(attacked.labels):
        return {}
    names = measured.subject.dataset.info.class_names
    return {
        "attack": attacked.attack,
        "rows": pictures.picture_rows(attacked, predict, names),
    }


def _neighbors(measured: Measured) -> dict[str, Any]:
    """Test images with their nearest training images, for a run that was trained with LSP."""
    from lsp_keras.runs import structure_of

    subject = measured.subject
    if not subject.settings or is_in_zoo(subject.classifier.run):
        return {}
    few = subject.test.take(64)
    with contextlib.suppress(OSError):
        structure, how = structure_of(
            subject.settings,
            subject.dataset,
            few.images,
            cache_dir=measured.request.cache_dir,
            run=subject.classifier.run,
        )
        if structure is not None:
            rows = pictures.neighbor_rows(
                subject, structure.neighbor_images, structure.neighbor_distances
            )
            return {"rows": rows, "how": how}
    return {}


def _profile(profile: Record | None) -> list[dict[str, Any]]:
    """Certainty on each kind of images."""
    if profile is None:
        return []
    return [
        {
            "name": _ANSWERS[kind],
            "images": part["num_images"],
            "error": 100 * part["error"],
            "confidence": 100 * part["confidence"]["mean"],
            "calibration": 100 * part["calibration"]["error"],
            "margin": part["margin"]["mean"],
        }
        for kind, part in profile["answers"].items()
    ]


def _facts(measured: Measured, target: str) -> dict[str, str]:
    """Where everything comes from."""
    first = measured.evaluations[0]
    info = measured.subject.dataset.info
    hardware = first["hardware"]
    device = ", ".join(hardware["gpus"]) or f"{hardware['cpu']}, {hardware['cores']} cores"
    parameters = first["model"]["num_parameters"]
    shape = " x ".join(map(str, info.image_shape))
    facts = {
        "model": target,
        "fingerprint": first["model_fingerprint"] or "unknown",
        "weights": f"{parameters:,}" if parameters is not None else "unknown",
        "read as": first.get("classifier", {}).get("summary", ""),
        "data": f"{info.name}, test split, {shape}, {info.num_classes} classes",
        "test images": f"{first['num_examples']:,} of {first['dataset']['num_images_in_split']:,}",
        "seed": str(first["seed"]),
        "measured on": device,
        "versions": ", ".join(f"{name} {text}" for name, text in first["versions"].items()),
        "time": f"{sum(item['seconds'] for item in _records(measured)):,.0f} s for all records",
    }
    facts |= {f"record, {name}": words.shown_path(path) for name, path in measured.sources.items()}
    return {name: text for name, text in facts.items() if text}


def _records(measured: Measured) -> list[Record]:
    found = [*measured.evaluations, measured.diagnosis, measured.profile]
    return [record for record in found if record is not None]


def _commands(measured: Measured, target: str) -> list[str]:
    """What makes the same model and the same records again."""
    request, run = measured.request, measured.subject.classifier.run
    commands = []
    if is_in_zoo(run) and run is not None:
        commands.append(str(card(run.name)["command"]))
    elif run is not None:
        recipe = _words("fit", "--recipe", run / "config.toml")
        commands.append(recipe)
    is_url = "://" in target
    model: list[object] = ["--url", target] if is_url else [target]
    ball = ["--epsilon", request.threat.epsilon_text, "--norm", request.threat.norm]
    name = measured.subject.dataset.info.name
    data = [] if measured.subject.settings.get("dataset") == name else ["--dataset", name]
    weights = measured.subject.context["model"]["weights"]
    data += [] if weights in (None, "best") else ["--weights", weights]
    for record in measured.evaluations:
        names = [name for name in record["attacks"] if "/" not in name]
        attacks = ["--attacks", ",".join(names)]
        counts = ["--num-examples", record["num_examples"], "--seed", record["seed"]]
        commands.append(_words("attack", *model, *attacks, *ball, *counts, *data))
    if measured.diagnosis is not None:
        counts = ["--num-examples", measured.diagnosis["num_examples"]]
        commands.append(_words("diagnose", *model, *ball, *counts, *data))
    return commands


def _words(*arguments: object) -> str:
    return shlex.join(["lsp-keras", *map(str, arguments)])


def _settings_text(measured: Measured) -> str:
    """The settings of the run, as its file holds them."""
    run = measured.subject.classifier.run
    path: Path | None = None if run is None else run / "config.toml"
    return path.read_text(encoding="utf-8") if path is not None and path.is_file() else ""


def comparison(views: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The models by their robust accuracy, AutoAttack's before upper bounds."""
    return sorted(
        views, key=lambda view: (not view["is_autoattack"], -np.float64(view["robust"]["value"]))
    )
