"""Work that is dealt out to several processes, and put together again."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lsp_keras.validation import InputError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# What Kubernetes and Slurm tell a process of its place; both count from 0 where arrays begin there.
PLACES = ("JOB_COMPLETION_INDEX", "SLURM_ARRAY_TASK_ID")


@dataclass(frozen=True)
class Shard:
    """Every `count`-th row, from the `index`-th on.

    Attributes:
        index: Which of the shards, counted from 0.
        count: Number of all shards.

    Raises:
        InputError: There is no such shard.

    Example:
        >>> Shard(1, 3).rows(8).tolist()
        [1, 4, 7]
    """

    index: int
    count: int

    def __post_init__(self) -> None:
        if not 0 <= self.index < self.count:
            raise InputError(
                f"A shard is I/N with I in [0, N): they are counted from 0. Received: {self}."
            )

    @classmethod
    def parse(cls, text: str, environment: Mapping[str, str] = os.environ) -> "Shard":
        """The shard that a text names.

        Args:
            text: Share as typed: `"I/N"`, or `"N"` where Kubernetes or Slurm tells the process its
                I.
            environment: Variables of the process.

        Raises:
            InputError: The text is something else, or nothing tells the place.
        """
        found = re.fullmatch(r"(?:(\d+)/)?(\d+)", text.strip())
        if found is None:
            raise InputError(f"A shard is I/N, such as 0/4 of four. Received: {text!r}.")
        index, count = found.groups()
        if index is None:
            index = next((environment[name] for name in PLACES if name in environment), None)
        if index is None or not index.isdecimal():
            raise InputError(
                f"Which of the {count} shards is meant? Write I/{count}, or let "
                f"${' or $'.join(PLACES)} tell it."
            )
        return cls(int(index), int(count))

    def rows(self, total: int) -> "npt.NDArray[np.int64]":
        """Its rows of so many, ascending."""
        # `--help` imports this module and does not wait for NumPy.
        import numpy as np

        return np.arange(self.index, total, self.count)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


def dealt_together(parts: "Sequence[npt.NDArray[Any]]") -> "npt.NDArray[Any]":
    """The rows of all shards in their first order.

    Args:
        parts: What each shard made of its rows, in the order of the shards.

    Example:
        >>> import numpy as np
        >>> dealt_together([np.array([0, 2, 4]), np.array([1, 3])]).tolist()
        [0, 1, 2, 3, 4]
    """
    import numpy as np

    whole = np.empty((sum(map(len, parts)), *parts[0].shape[1:]), parts[0].dtype)
    for index, part in enumerate(parts):
        whole[index :: len(parts)] = part
    return whole
