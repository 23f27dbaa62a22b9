"""The values of an epoch that callbacks hand on."""

from lsp_keras.validation import InputError

Logs = dict[str, float]


def logged(metric: str, logs: Logs | None) -> float:
    """A value of the logs.

    Raises:
        InputError: They do not hold it; the message lists what they hold.
    """
    logs = logs or {}
    if metric not in logs:
        raise InputError(
            f"There is no metric {metric!r} to go by. The logs hold: {', '.join(sorted(logs))}."
        )
    return float(logs[metric])
