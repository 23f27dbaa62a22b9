"""Records that packages hand to each other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

from lsp_keras.choices import DEFAULT_EPSILONS as DEFAULT_EPSILONS
from lsp_keras.choices import NORM_TEXTS as NORM_TEXTS
from lsp_keras.choices import NORMS as NORMS
from lsp_keras.choices import Norm as Norm
from lsp_keras.stored_images import StoredImages
from lsp_keras.validation import (
    InputError,
    check_choice,
    clip_rounding,
    parse_epsilon,
)

Images = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]
# Told how far a stage has come: its name, how much of it is done, and how much there is.
Progress = Callable[[str, int, int], None]
# Told how far an attack has come: work done, all work, and how many images still stand.
SearchProgress = Callable[[int, int, int], None]
# Told how far an evaluation has come: an attack's name, the share of its work that is done, the
# images it was given, and how many of them still stand.
EvaluationProgress = Callable[[str, float, int, int], None]


@dataclass(frozen=True)
class DatasetInfo:
    """What a dataset is.

    Attributes:
        name: Name on the command line.
        class_names: Names of the classes, one for each label, in label order.
        image_shape: Shape of an image, `(height, width, channels)`.
        split_sizes: Number of images in each split of the source, as its own info states them.
        mean: Mean of each channel over the training images, on the [0, 1] scale;
            empty where these were not read.
        std: Standard deviation of each channel, on the same scale.
        augmentation: Name of the augmentation that suits the images, or `None`.
        citation: BibTeX or a plain reference.
        resize: How images of another size were brought to `image_shape`, see
            `lsp_keras.ops.resizing`.
        left_out: Number of files or images of the source that are not used, by reason.
        order_seed: Seed of the stratified order of each split.
        notes: Sentences on what was found, used and left out.
    """

    name: str
    class_names: tuple[str, ...]
    image_shape: tuple[int, int, int]
    split_sizes: Mapping[str, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augmentation: str | None
    citation: str
    resize: str = "crop"
    left_out: Mapping[str, int] = field(default_factory=dict)
    order_seed: int = 0
    notes: tuple[str, ...] = ()

    @property
    def num_classes(self) -> int:
        """Number of labels."""
        return len(self.class_names)


@dataclass(frozen=True)
class Examples:
    """Images with labels: a split of a dataset, what is evaluated, what is attacked.

    Attributes:
        images: Images, `(n, height, width, channels)`, in memory, memory-mapped or in files: uint8
            as they are stored, or float32 in [0, 1] as models and attacks take them.
        labels: Labels, int64 `(n,)`.
        indices: Numbers that identify each image, int64 `(n,)`: its position in the source split it
            was cut from. It is the key of the image's random draws.
    """

    images: Any
    labels: Integers
    indices: Integers

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, count: int | None) -> "Examples":
        """The first `count` images, or all where `count` is `None` or larger."""
        return self.select(np.arange(len(self))[:count])

    def select(self, rows: Integers) -> "Examples":
        """The images at these rows, in this order."""
        stored = isinstance(self.images, StoredImages)
        images = self.images.taken(rows) if stored else self.images[rows]
        return Examples(images, self.labels[rows], self.indices[rows])

    def as_floats(self) -> "Examples":
        """The same images as float32 in [0, 1]."""
        return replace(self, images=as_floats(self.images))


def as_floats(images: npt.NDArray[Any]) -> Floats:
    """Images as float32 in [0, 1]; uint8 is divided by 255, rounding is clipped."""
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images.astype(np.float32) / np.float32(255.0)
    pixels = images.astype(np.float32, copy=False)
    return clip_rounding(pixels) if pixels.size else pixels


@dataclass(frozen=True)
class Dataset:
    """A dataset with a validation split cut from its training images."""

    info: DatasetInfo
    train: Examples
    validation: Examples
    test: Examples


@dataclass(frozen=True)
class TestSplit:
    """Test images of a dataset, or a share of them, without its other splits.

    Attributes:
        info: Facts about the dataset.
        split: The images.
        source_size: Number of images in the whole test split.
        positions: Positions in the source of the images of all shares in their order, int64 `(n,)`.
    """

    info: DatasetInfo
    split: Examples
    source_size: int
    positions: Integers


def radius_text(epsilon: float, norm: str) -> str:
    """A radius as people in the field write it: n/255 for L-inf.

    Example:
        >>> radius_text(8 / 255, "linf"), radius_text(1 / 510, "linf"), radius_text(0.5, "l2")
        ('8/255', '0.5/255', '0.5')
    """
    pixels = round(255.0 * epsilon, 2)
    return f"{pixels:g}/255" if norm == "linf" else f"{epsilon:g}"


@dataclass(frozen=True)
class ThreatModel:
    """What the attacker may do: move an image by at most `epsilon` in `norm`, inside [0, 1].

    Attributes:
        norm: Norm of the ball, `"linf"`, `"l2"` or `"l1"`.
        epsilon: Radius on the [0, 1] pixel scale.
        epsilon_text: Radius as the user wrote it, for example `"8/255"`.
    """

    norm: Norm
    epsilon: float
    epsilon_text: str

    def __str__(self) -> str:
        return f"{NORM_TEXTS[self.norm]} {self.epsilon_text}"

    @classmethod
    def of(cls, threat: "ThreatModel | str | float") -> "ThreatModel":
        """The threat model itself, or that of a radius such as `"8/255"` or `0.1` under L-inf.

        Raises:
            InputError: It is neither.
        """
        if isinstance(threat, ThreatModel):
            return threat
        if isinstance(threat, str | Real):
            return cls.parse(threat if isinstance(threat, str) else float(threat))
        raise InputError(
            "`threat` must be a radius under L-inf such as '8/255', or a threat model: "
            f"ThreatModel.parse('0.5', 'l2'). Received: {threat!r}."
        )

    @classmethod
    def parse(cls, epsilon: str | float, norm: str = "linf") -> "ThreatModel":
        """Threat model from an epsilon such as `"8/255"` and the name of a norm."""
        check_choice("norm", norm, NORMS)
        return cls(norm, parse_epsilon(epsilon, norm), str(epsilon))  # type: ignore[arg-type]

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)


@dataclass(frozen=True)
class NeighborTable:
    """For each training image its nearest others.

    Attributes:
        indices: Rows of the training split, int64 `(n, m)`: nearest first, never the row itself.
        distances: Euclidean distances to the neighbors in the feature space, float32 `(n, m)`.
        provenance: What the table was made from and how; see `lsp_keras.neighbors`.
    """

    indices: Integers
    distances: Floats
    provenance: Mapping[str, Any]

    def __post_init__(self) -> None:
        if self.indices.shape != self.distances.shape or self.indices.ndim != 2:
            raise InputError(
                "`indices` and `distances` must have the same shape (n, m). Received: "
                f"{self.indices.shape} and {self.distances.shape}."
            )

    @property
    def num_neighbors(self) -> int:
        """Neighbors of each image."""
        return self.indices.shape[1]

    def take(self, num_neighbors: int) -> "NeighborTable":
        """The table with the nearest `num_neighbors` of each image only.

        Raises:
            InputError: The table holds fewer.
        """
        if not 0 < num_neighbors <= self.num_neighbors:
            raise InputError(
                f"The neighbor table holds {self.num_neighbors} neighbors per image, "
                f"{num_neighbors} were asked for. Mine again with a larger --num-neighbors."
            )
        return replace(
            self,
            indices=self.indices[:, :num_neighbors],
            distances=self.distances[:, :num_neighbors],
        )

    def at(self, places: Sequence[int]) -> "NeighborTable":
        """The table with the neighbors at these places only, 0 for the nearest.

        Raises:
            InputError: The table holds fewer.
        """
        table = self.take(max(places) + 1)
        return replace(
            table, indices=table.indices[:, places], distances=table.distances[:, places]
        )


@dataclass(frozen=True)
class Flag:
    """One sign that the robust accuracy overstates robustness.

    Attributes:
        name: Short and fixed, for scripts.
        number: What was measured.
        threshold: Number above which the flag is raised.
        measure: What the number is.
        meaning: What it says about the model or the measurement, once raised.
        advice: What to do about it then.
    """

    name: str
    number: float
    threshold: float
    measure: str
    meaning: str
    advice: str

    @property
    def is_raised(self) -> bool:
        """Whether the number is above its threshold."""
        return self.number > self.threshold

    @property
    def is_near(self) -> bool:
        """Whether the number is above seven tenths of its threshold, and not above all of it.

        Where a threshold is one and a half images, one image is not near it.
        """
        return 0.7 * self.threshold < self.number <= self.threshold

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.meaning} {self.advice}"
