"""An order of the training images in which neighbors stand together, so that batches hold them."""

import functools
import threading
from dataclasses import dataclass, field

import numpy as np

from lsp_keras.types import Integers
from lsp_keras.validation import check_positive

# Keeps these draws apart from those of a random order with the same seed and epoch.
_STREAM = 0x6F72


@dataclass(frozen=True)
class MutualNeighbors:
    """Which images name each other, in compressed sparse rows.

    Attributes:
        starts: Starts of each image's part of `ends`, int64 `(n + 1,)`: the neighbors of image i
            are `ends[starts[i]:starts[i + 1]]`.
        ends: Neighbors of all images, one image's after the other's and nearest first, int64
            `(edges,)`.
    """

    starts: Integers
    ends: Integers

    @classmethod
    def of(cls, indices: Integers) -> "MutualNeighbors":
        """Those of a neighbor table's indices, int64 `(n, m)`."""
        num_images, count = indices.shape
        anchors = np.repeat(np.arange(num_images), count)
        forward = anchors * num_images + indices.ravel()
        backward = indices.ravel() * num_images + anchors
        mutual = np.isin(forward, backward)
        degrees = np.bincount(anchors[mutual], minlength=num_images)
        starts = np.concatenate([[0], np.cumsum(degrees)])
        return cls(starts.astype(np.int64), indices.ravel()[mutual])


@dataclass(frozen=True)
class GroupedOrder:
    """From the epoch to an order of all images, in shuffled groups of mutual neighbors.

    A group starts at a random image and takes in its mutual neighbors, then theirs, breadth
    first among the images that no group has yet, until it is full or there are no more. The
    order depends on the table, the seed and the epoch alone, so that a resumed run sees what an
    uninterrupted one would have seen.

    Args:
        indices: Neighbors of each image, int64 `(n, m)`.
        group_size: Images of a full group.
        seed: Seed of the orders.
    """

    indices: Integers
    group_size: int
    seed: int
    _last: dict[int, Integers] = field(default_factory=dict, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        check_positive("group_size", self.group_size)

    @functools.cached_property
    def mutual(self) -> MutualNeighbors:
        """The graph that groups grow in."""
        return MutualNeighbors.of(self.indices)

    def __call__(self, epoch: int) -> Integers:
        """int64 `(n,)`, a permutation."""
        # Several threads gather the batches of one epoch.
        with self._lock:
            if epoch not in self._last:
                self._last.clear()
                self._last[epoch] = _grouped(self.mutual, self.group_size, self.seed, epoch)
            return self._last[epoch]


def _grouped(mutual: MutualNeighbors, group_size: int, seed: int, epoch: int) -> Integers:
    generator = np.random.default_rng([seed, epoch, _STREAM])
    roots = generator.permutation(len(mutual.starts) - 1)
    grown, firsts = grow(mutual, roots, group_size)
    groups = np.split(grown, firsts[1:])
    order = np.concatenate([groups[place] for place in generator.permutation(len(groups))])
    order.flags.writeable = False
    return order


def grow(mutual: MutualNeighbors, roots: Integers, group_size: int) -> tuple[Integers, Integers]:
    """Groups of mutual neighbors, grown in the order of their roots.

    Args:
        mutual: Pairs of images that name each other.
        roots: Images at which groups start, as far as no other has them: a permutation, int64
            `(n,)`.
        group_size: Images of a full group.

    Returns:
        All images, group after group, and the place of each group's first.
    """
    starts, ends = mutual.starts.tolist(), mutual.ends
    taken = bytearray(len(roots))
    grown: list[int] = []
    firsts: list[int] = []
    for root in roots.tolist():
        if taken[root]:
            continue
        first = head = len(grown)
        firsts.append(first)
        taken[root] = True
        grown.append(root)
        # Breadth first: from `first` on, `grown` is the group and its own queue; `head` is next.
        while head < len(grown) < first + group_size:
            image = grown[head]
            head += 1
            for other in ends[starts[image] : starts[image + 1]].tolist():
                if not taken[other] and len(grown) < first + group_size:
                    taken[other] = True
                    grown.append(other)
    return np.asarray(grown, np.int64), np.asarray(firsts, np.int64)
