"""Errors that end a run; what it has written stays that of the last good epoch."""


class TrainingError(RuntimeError):
    """A run that cannot go on; the message says what to try."""


class NonFiniteLossError(TrainingError):
    """A term of the loss is NaN or infinite; the weights were not touched by that step."""


class CollapseError(TrainingError):
    """The model gives all images the same: features in pre-training, a class in training."""
