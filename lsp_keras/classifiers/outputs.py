"""Which of a model's outputs holds its answers."""

from collections.abc import Mapping, Sequence
from typing import Any

from lsp_keras.validation import InputError, listing, nearest

_PREFERRED = ("logits", "probabilities", "predictions")


def choose_output(source: str, names: Sequence[str], wanted: str | None = None) -> str:
    """Name of the output to read: the one asked for, else logits, probabilities, or the only one.

    Args:
        source: Names the model in errors.
        names: Names of the model's outputs, in order.
        wanted: A name, or a place counted from 0.

    Raises:
        InputError: There is no such output, or several and none of a known name.
    """
    if wanted is not None:
        if wanted.isdecimal() and int(wanted) < len(names):
            return names[int(wanted)]
        if wanted in names:
            return wanted
        raise InputError(
            f"{source} has no output {wanted!r}.{nearest(wanted, names)} It has {listing(names)}."
        )
    if len(names) == 1:
        return names[0]
    for name in _PREFERRED:
        if name in names:
            return name
    raise InputError(
        f"{source} answers {len(names)} outputs: {', '.join(map(repr, names))}. "
        "Say which one holds the classes: --model-output NAME (`output=` in Python)."
    )


def pick(source: str, outputs: Any, wanted: str | None) -> tuple[Any, str | None]:
    """One tensor of what a function answers, and its name where there are several."""
    if isinstance(outputs, Mapping):
        name = choose_output(source, list(outputs), wanted)
        return outputs[name], name
    if isinstance(outputs, list | tuple):
        places = [str(place) for place in range(len(outputs))]
        name = choose_output(source, places, wanted)
        return outputs[int(name)], name if len(outputs) > 1 else None
    return outputs, None
