"""An evaluation that several processes share: a record for each shard, and one made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from lsp_keras.evaluation.flags import look_for, raised
from lsp_keras.evaluation.report import (
    AttackRecord,
    AttackTraits,
    Report,
    pack_verdicts,
    unpack_verdicts,
)
from lsp_keras.evaluation.share import Share
from lsp_keras.evaluation.signs import signs_of
from lsp_keras.shards import Shard, dealt_together
from lsp_keras.storage import fingerprint
from lsp_keras.types import Flag, Integers, ThreatModel
from lsp_keras.validation import InputError

Record = Mapping[str, Any]

# Each shard tests the model for these by itself; the others compare numbers of all images.
_OF_THE_MODEL = ("randomized_outputs", "probability_outputs")
# What must be the same in all shards of one evaluation.
_SHARED = ("model_fingerprint", "dataset", "threat_model", "num_classes", "seed", "versions")
_READING = ("image_shape", "pixel_range", "answers", "num_classes", "precision")
_OWN = (
    *("statement", "is_judgeable", "is_autoattack", "flags", "unchecked", "model_fingerprint"),
    *("threat_model", "num_examples", "num_classes", "clean_accuracy", "attacks", "seconds"),
    *("worst_case_accuracy", "verdicts", "seed", "batch_size", "versions", "hardware", "shard"),
)


def shard_record(report: Report, shard: Shard, positions: Integers) -> dict[str, Any]:
    """The record of one shard, with what `merge` needs besides.

    Args:
        report: Report on the shard's images.
        shard: Which it is.
        positions: Numbers that identify the images of all shards in their order, int `(n,)`.
    """
    record = report.to_dict()
    own = {
        "index": shard.index,
        "count": shard.count,
        "total": len(positions),
        "unmoved": report.unmoved,
        "traits": {item.name: asdict(item.traits) for item in report.attacks},
    }
    return {**record, "shard": {**own, "evaluation": _evaluation(record, shard, positions)}}


def _evaluation(record: Record, shard: Shard, positions: Integers) -> str:
    """Digest of what the shards of one evaluation have in common."""
    reading = record.get("classifier", {})
    return fingerprint(
        {key: record.get(key) for key in _SHARED},
        {key: reading.get(key) for key in _READING},
        {name: (item["attack"], item["config"]) for name, item in record["attacks"].items()},
        shard.count,
        positions,
    )


def merge(records: Sequence[Record]) -> Report:
    """The report on all images, from the records of all shards.

    Counts are summed, verdicts put in the order of the images, and signs looked for again.

    Args:
        records: Records that `shard_record` made, in any order.

    Raises:
        InputError: A shard is missing, is there twice, or belongs to another evaluation.
    """
    ordered = _checked(records)
    first = ordered[0]
    clean, attacks, worst = _sums(ordered)
    threat = first["threat_model"]
    found = [flag for record in ordered for flag in record["flags"]]
    report = Report(
        threat=ThreatModel(threat["norm"], threat["epsilon"], threat["epsilon_text"]),
        clean=clean,
        attacks=attacks,
        worst_case=worst,
        num_classes=first["num_classes"],
        flags=[],
        seed=first["seed"],
        batch_size=first["batch_size"],
        model_fingerprint=first["model_fingerprint"],
        versions=first["versions"],
        hardware=_hardware(ordered),
        seconds=sum(record["seconds"] for record in ordered),
        verdicts={name: _verdicts(ordered, name) for name in first["verdicts"]},
        context={key: value for key, value in first.items() if key not in _OWN},
        unmoved=sum(record["shard"]["unmoved"] for record in ordered),
    )
    signs, unchecked = look_for(signs_of(report))
    before = {name: why for record in ordered for name, why in record["unchecked"].items()}
    # The numbers are looked at again; what was asked of the model is as the shards found it.
    asked = {name: why for name, why in before.items() if name in _OF_THE_MODEL}
    flags = [*raised(signs), *_of_the_model(found)]
    return replace(report, flags=flags, unchecked={**asked, **unchecked})


def _checked(records: Sequence[Record]) -> list[Record]:
    """The records by their shards.

    Raises:
        InputError: They are not all shards of one evaluation, each once.
    """
    if not records:
        raise InputError("There are no shards to merge.")
    if not all("shard" in record for record in records):
        raise InputError("A record of a whole evaluation is no shard: leave it out.")
    if len({record["shard"]["evaluation"] for record in records}) > 1:
        raise InputError(f"The shards belong to different evaluations: {_difference(records)}.")
    count = records[0]["shard"]["count"]
    indices = sorted(record["shard"]["index"] for record in records)
    double = sorted({index for index in indices if indices.count(index) > 1})
    missing = [index for index in range(count) if index not in indices]
    if double:
        raise InputError(f"Shards of {count} that are there more than once: {_listed(double)}.")
    if missing:
        raise InputError(f"Shards of {count} that are missing: {_listed(missing)}.")
    return sorted(records, key=lambda record: int(record["shard"]["index"]))


def _listed(indices: Sequence[int]) -> str:
    return ", ".join(map(str, indices))


def _difference(records: Sequence[Record]) -> str:
    """In what shards differ that do not belong together."""
    first = records[0]
    for record in records[1:]:
        for key in (*_SHARED, "classifier", "attacks"):
            own, other = _comparable(first, key), _comparable(record, key)
            if own != other:
                return f"their {key.replace('_', ' ')} differ"
        if record["shard"]["count"] != first["shard"]["count"]:
            return "they were dealt out to different numbers of shards"
    return "they were made from different images"


def _comparable(record: Record, key: str) -> Any:
    value = record.get(key)
    if key == "attacks":
        return {name: (item["attack"], item["config"]) for name, item in record[key].items()}
    return {name: (value or {}).get(name) for name in _READING} if key == "classifier" else value


def _sums(records: Sequence[Record]) -> tuple[Share, list[AttackRecord], Share]:
    """Clean share, what each attack left, and the worst case, over all shards."""

    def share(parts: Sequence[Record]) -> Share:
        return Share(sum(part["count"] for part in parts), sum(part["total"] for part in parts))

    first = records[0]
    attacks = [
        AttackRecord(
            name,
            item["attack"],
            item["config"],
            share([record["attacks"][name]["accuracy"] for record in records]),
            sum(record["attacks"][name]["seconds"] for record in records),
            AttackTraits(**first["shard"]["traits"][name]),
        )
        for name, item in first["attacks"].items()
    ]
    clean, worst = (
        share([record[f"{key}_accuracy"] for record in records]) for key in ("clean", "worst_case")
    )
    return clean, attacks, worst


def _verdicts(records: Sequence[Record], name: str) -> str:
    parts = [
        unpack_verdicts(record["verdicts"][name], record["num_examples"]) for record in records
    ]
    return pack_verdicts(dealt_together(parts))


def _hardware(records: Sequence[Record]) -> Record:
    """Of all machines: what they have in common, or each for itself."""
    first: Record = records[0]["hardware"]
    found = [record["hardware"] for record in records]
    return first if all(item == first for item in found) else {**first, "shards": found}


def _of_the_model(found: Sequence[Record]) -> list[Flag]:
    """Flags that shards raised about the model itself, each with its largest number."""
    largest: dict[str, Record] = {}
    for flag in found:
        name = flag["name"]
        if name in _OF_THE_MODEL and flag["number"] >= largest.get(name, flag)["number"]:
            largest[name] = flag
    return [Flag(**largest[name]) for name in _OF_THE_MODEL if name in largest]
