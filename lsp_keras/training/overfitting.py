"""A guard against catastrophic overfitting: a run that learned its attack goes back."""

import math
from typing import Any

import numpy as np
import tensorflow as tf

from lsp_keras.training.callbacks import RobustValidation
from lsp_keras.training.logs import Logs
from lsp_keras.training.state import StatefulCallback, variables_of
from lsp_keras.training.stopping import Announce, to_stderr
from lsp_keras.validation import check_positive

_GAP = 0.07
# Standard errors that few held-out images may add to it.
_CLEAR = 2.0


class OverfittingGuard(StatefulCallback):
    """Rolls a run back where robustness and the training attack's success part.

    After each epoch it compares, on the held-out images, the accuracy on the images that the
    training attack makes with robust accuracy. A classifier that is right on the former and wrong
    on the latter has learned to tell the label from the attack's step, or to bend the loss around
    it. The run then gets back the weights, the optimizer's memory and the average of the weights
    as they were after the last good epoch, makes its attack stronger and goes on; the count of
    steps stays, so that the learning rate's schedule ends with the run. The logs then hold the
    accuracies of the weights that the run goes on with.

    The logs get `val_train_attack_accuracy`, `attack_gap` (that less robust accuracy, before the
    run goes back) and `attack_strength` (how often the attack was made stronger so far). Place it
    after the validation and before all that write. What it goes back to is the state at the end
    of an epoch, which a resumed run starts from, so that it needs no file of its own.

    Args:
        validation: The callback that measures held-out images, placed before this one.
        threat: Measurement of robust accuracy at the radius of training, where `validation` has
            another one.
        gap: Difference of the two accuracies from which they have parted, in (0, 1); two of its
            standard errors are added, since it may come from a few images.
        announce: Function that gets one sentence when the run goes back; default a line on stderr.

    Attributes:
        good_epoch: The last epoch that counts, from 1; 0 is the start of the run.
    """

    def __init__(
        self,
        validation: RobustValidation,
        *,
        threat: RobustValidation | None = None,
        gap: float = _GAP,
        announce: Announce = to_stderr,
    ) -> None:
        super().__init__()
        check_positive("gap", gap)
        self.validation = validation
        self.threat = threat
        self.gap = gap
        self.announce = announce
        self.good_epoch = 0
        self._good: list[Any] = []
        self._attacked: Any = None

    def on_train_begin(self, logs: Logs | None = None) -> None:
        """Remembers the state that the run starts from."""
        self._remember()

    def on_epoch_end(self, epoch: int, logs: Logs | None = None) -> None:
        """Compares, and goes back where the accuracies have parted."""
        logs = {} if logs is None else logs
        own, robust = self._own_accuracy(), self._robust_accuracy(logs)
        logs.update(val_train_attack_accuracy=own, attack_gap=own - robust)
        if own - robust > self.gap + _CLEAR * self._standard_error(own, robust):
            self._go_back()
            stronger = self.model.strengthen_attack()
            self.validation.on_epoch_end(epoch, logs)
            self.announce(self._message(epoch + 1, own, robust, stronger))
        else:
            self.good_epoch = epoch + 1
        self._remember()
        logs["attack_strength"] = float(self.model.strength)

    def get_state(self) -> dict[str, Any]:
        """The last good epoch."""
        return {"good_epoch": self.good_epoch}

    def set_state(self, state: dict[str, Any]) -> None:
        """Takes back what `get_state` returned."""
        self.good_epoch = state["good_epoch"]

    def _robust_accuracy(self, logs: Logs) -> float:
        if self.threat is None:
            return logs["val_robust_accuracy"]
        return self.threat.measure(self.model.classifier)[1]

    def _standard_error(self, own: float, robust: float) -> float:
        """Of the difference, if the two were measured on different images: it is less."""
        variances = own * (1.0 - own) + robust * (1.0 - robust)
        return math.sqrt(variances / len(self.validation.split))

    def _own_accuracy(self) -> float:
        """On the images that the training attack makes of held-out ones, in inference mode."""
        split, size = self.validation.split, self.validation.batch_size
        if self._attacked is None:
            self._attacked = self._build(split.images.shape[1:])
        correct = 0
        for start in range(0, len(split), size):
            rows = np.arange(start, min(start + size, len(split)))
            part = split.select(rows).as_floats()
            logits = self._attacked(part.images, part.labels, rows)
            correct += int(np.sum(np.argmax(logits, axis=1) == part.labels))
        return correct / len(split)

    def _build(self, shape: tuple[int, ...]) -> Any:
        integers = tf.TensorSpec([None], tf.int64)
        signature = [tf.TensorSpec([None, *shape], tf.float32), integers, integers]

        @tf.function(input_signature=signature, autograph=False)
        def attacked(images: tf.Tensor, labels: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
            batch = {"images": images, "labels": labels, "indices": indices}
            found = self.model.perturb_unseen(batch)
            return self.model.classifier(found, training=False)

        return attacked

    def _remember(self) -> None:
        self._good = [np.array(variable) for variable in self._variables()]

    def _go_back(self) -> None:
        for variable, value in zip(self._variables(), self._good, strict=True):
            variable.assign(value)

    def _variables(self) -> list[Any]:
        """All but the counts of steps, which fix the learning rate and the random draws."""
        return [item for item in variables_of(self.model).values() if item.name != "iteration"]

    def _message(self, epoch: int, own: float, robust: float, stronger: str) -> str:
        place = f"of epoch {self.good_epoch}" if self.good_epoch else "at the start"
        return (
            f"Catastrophic overfitting in epoch {epoch}: of held-out images the classifier knows "
            f"{own:.1%} under the training attack and {robust:.1%} under the stronger attack of "
            f"the validation. The run goes back to the weights {place} and goes on with "
            f"{stronger}."
        )
