"""The loss around images: along the adversarial direction and along a random one."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lsp_keras.ops.objectives import cross_entropy
from lsp_keras.types import Floats, Integers

_REACH = 2.0
_NUM_OFFSETS = 17


@dataclass(frozen=True)
class LossSurface:
    """Cross entropy on a grid around each of some images.

    Attributes:
        offsets: Offsets from the image, `(k,)`, in units of the attack's own perturbation: 0 is the
            image, 1 the adversarial image.
        losses: Losses by image, offset along the adversarial direction and offset along the random
            one, float32 `(n, k, k)`.
    """

    offsets: Floats
    losses: Floats

    @property
    def mean(self) -> Floats:
        """Over the images, `(k, k)`."""
        return self.losses.mean(axis=0)

    @property
    def along_adversarial(self) -> Floats:
        """Each image's loss on the line through its adversarial image, `(n, k)`."""
        return self.losses[:, :, self._center]

    @property
    def along_random(self) -> Floats:
        """Each image's loss on the line in the random direction, `(n, k)`."""
        return self.losses[:, self._center]

    @property
    def _center(self) -> int:
        return len(self.offsets) // 2

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it: the mean over the images."""
        return {
            "num_images": len(self.losses),
            "offsets": self.offsets.tolist(),
            "mean_loss": _rounded(self.mean),
            "mean_loss_along_adversarial": _rounded(self.along_adversarial.mean(axis=0)),
            "mean_loss_along_random": _rounded(self.along_random.mean(axis=0)),
        }


def loss_surface(
    predict: Callable[[Floats], Floats],
    images: Floats,
    adversarial: Floats,
    labels: Integers,
    *,
    seed: int,
    reach: float = _REACH,
    num_offsets: int = _NUM_OFFSETS,
) -> LossSurface:
    """Measures the loss at x + a (x' - x) + b r, r being x' - x with random signs.

    So the random direction has the adversarial one's length in every norm. Points outside of
    [0, 1] are clipped.

    Args:
        predict: Images to logits.
        images: Images, float32 `(n, height, width, channels)` in [0, 1].
        adversarial: Adversarial images from an attack, float32, shaped as `images`.
        labels: Labels, int `(n,)`.
        seed: Seed of the signs.
        reach: Largest a and b.
        num_offsets: Odd number of values of a and of b.
    """
    towards = adversarial - images
    sideways = towards * random_signs(towards.shape, seed)
    offsets = np.linspace(-reach, reach, num_offsets, dtype=np.float32)

    def losses(a: float, b: float) -> Floats:
        points = np.clip(images + a * towards + b * sideways, 0.0, 1.0)
        return cross_entropy(labels, predict(points)).numpy()

    grid = np.array([[losses(a, b) for b in offsets] for a in offsets])
    return LossSurface(offsets, np.moveaxis(grid, -1, 0))


def random_signs(shape: tuple[int, ...], seed: int) -> Floats:
    """Fair draws of -1 and +1."""
    return np.random.default_rng(seed).choice(np.array([-1.0, 1.0], np.float32), shape)


def _rounded(losses: Floats) -> Any:
    return np.round(losses.astype(np.float64), 6).tolist()
