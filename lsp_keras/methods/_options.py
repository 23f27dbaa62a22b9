"""What can be added to the training step of any method."""

from dataclasses import dataclass

from lsp_keras.validation import InputError, check_positive


@dataclass(frozen=True)
class StepOptions:
    """Options of the training step, for `RobustTrainer.configure`; by default all are off.

    Attributes:
        label_smoothing: Share of the label that is spread over all classes, in [0, 1); for
            methods whose loss has the cross-entropy of a label.
        awp_gamma: Size of the adversarial move of the weights, relative to their norm; 0 is off,
            0.005 to 0.01 is usual. Each step then takes about twice its forward and backward
            passes.
        awp_warmup_steps: Steps before the first that moves the weights.
        ema_decay: Part of the averaged weights that a step keeps, in (0, 1), for example 0.999;
            `None` keeps no average.
        fused: Whether batch normalizations run as fused kernels and, in attacks, as part of the
            convolutions before them; equal to Keras's own up to rounding.

    Raises:
        InputError: A value is out of its range.

    Example:
        >>> StepOptions(ema_decay=0.999).label_smoothing
        0.0
    """

    label_smoothing: float = 0.0
    awp_gamma: float = 0.0
    awp_warmup_steps: int = 0
    ema_decay: float | None = None
    fused: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.label_smoothing < 1:
            raise InputError(
                "`label_smoothing` must be in [0, 1). "
                f"Received: label_smoothing={self.label_smoothing:g}."
            )
        check_positive("awp_gamma", self.awp_gamma, allow_zero=True)
        check_positive("awp_warmup_steps", self.awp_warmup_steps, allow_zero=True)
        if self.ema_decay is not None and not 0 < self.ema_decay < 1:
            raise InputError(
                f"`ema_decay` must be in (0, 1). Received: ema_decay={self.ema_decay:g}. "
                "Leave it out to keep no average."
            )
