"""Singular values of a model's linear maps: exact for dense layers and circular convolutions."""

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from lsp_keras.evaluation.profile.layers import KernelLayer

_QUANTILES = np.linspace(0.0, 1.0, 21)

Doubles = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Spectrum:
    """Singular values of one layer, the batch normalization that follows folded in.

    Attributes:
        layer: Name of the layer.
        kind: Kind of the layer, `"dense"` or `"convolution"`.
        batch_norm: Name of the batch normalization that is folded in, or `None`.
        grid: Input positions `(height, width)` of a convolution, else `None`.
        strides: Strides of a convolution, else `None`.
        values: Sorted, largest first.
    """

    layer: str
    kind: str
    batch_norm: str | None
    grid: tuple[int, int] | None
    strides: tuple[int, int] | None
    values: Doubles

    @property
    def stable_rank(self) -> float:
        """Squared Frobenius norm over squared spectral norm: how many directions matter."""
        largest = self.values[0]
        return float((self.values**2).sum() / largest**2) if largest > 0 else 0.0

    def quantile(self, share: float) -> float:
        """The value that this share of all values does not exceed."""
        return float(np.quantile(self.values, share))

    def to_dict(self) -> dict[str, Any]:
        """As JSON holds it."""
        return {
            "layer": self.layer,
            "kind": self.kind,
            "batch_norm": self.batch_norm,
            "grid": self.grid,
            "strides": self.strides,
            "count": len(self.values),
            "largest": float(self.values[0]),
            "mean": float(self.values.mean()),
            "std": float(self.values.std()),
            "smallest": float(self.values[-1]),
            "stable_rank": self.stable_rank,
            "quantiles": np.quantile(self.values, _QUANTILES).tolist(),
        }


def spectrum(item: KernelLayer) -> Spectrum:
    """Singular values of a dense or convolutional layer."""
    kernel = item.folded_kernel
    if isinstance(item.layer, keras.layers.Dense):
        values = dense_singular_values(kernel)
        return Spectrum(item.name, "dense", item.batch_norm_name, None, None, values)
    strides = tuple(item.layer.strides)
    height, width = item.layer.output.shape[1:3]
    grid = (height * strides[0], width * strides[1])
    values = convolution_singular_values(
        _dilated(kernel, tuple(item.layer.dilation_rate)),
        grid,
        strides=strides,
        groups=item.groups,
    )
    return Spectrum(item.name, "convolution", item.batch_norm_name, grid, strides, values)


def dense_singular_values(kernel: Doubles) -> Doubles:
    """Of a matrix `(inputs, outputs)`, largest first."""
    return np.asarray(np.linalg.svd(kernel, compute_uv=False), np.float64)


def convolution_singular_values(
    kernel: Doubles,
    grid: tuple[int, int],
    *,
    strides: tuple[int, int] = (1, 1),
    groups: int = 1,
) -> Doubles:
    """All singular values of a convolution with circular padding.

    Without strides the discrete Fourier transform makes the map block-diagonal: one matrix of
    channels for each frequency. A stride keeps every s-th position, which adds up the s
    frequencies that alias to the same one; the blocks of these stand side by side, divided by
    the square root of their number, and the values are exact there too.

    Args:
        kernel: Kernel of the convolution, `(height, width, inputs / groups, outputs)`.
        grid: Input positions, multiples of the strides. A kernel larger than the grid is
            wrapped around it, as circular padding does.
        strides: Vertical and horizontal.
        groups: Groups of channels that are convolved by themselves.

    Returns:
        `(positions / strides * min(outputs, inputs * strides),)`, largest first; the sum over
        the groups where there are several.

    References:
        Sedghi, Gupta and Long, The Singular Values of Convolutional Layers, 2019, Theorem 6.

    Differs from the reference:
        Strides and groups.
    """
    values = [_group_values(part, grid, strides) for part in np.split(kernel, groups, axis=-1)]
    return np.sort(np.concatenate(values))[::-1]


def _group_values(kernel: Doubles, grid: tuple[int, int], strides: tuple[int, int]) -> Doubles:
    rows, columns = grid[0] // strides[0], grid[1] // strides[1]
    channels = kernel.shape[2:]
    transform = np.fft.fft2(_wrapped(kernel, grid), axes=(0, 1))
    # Frequency k of the output gathers the input's k, k + rows, k + 2 rows, ...
    aliased = transform.reshape(strides[0], rows, strides[1], columns, *channels)
    blocks = aliased.transpose(1, 3, 0, 2, 4, 5).reshape(rows, columns, -1, channels[1])
    # A real kernel's block at -k is conjugate to that at k: half of the columns suffice.
    half = columns // 2 + 1
    values = np.linalg.svd(blocks[:, :half], compute_uv=False) / np.sqrt(strides[0] * strides[1])
    mirrored = values[:, 1 : (columns + 1) // 2]
    return np.concatenate([values.ravel(), mirrored.ravel()])


def _wrapped(kernel: Doubles, grid: tuple[int, int]) -> Doubles:
    """The kernel on the grid, `(*grid, inputs, outputs)`, entries beyond it added up."""
    wrapped = np.zeros((*grid, *kernel.shape[2:]))
    for row, column in np.ndindex(kernel.shape[:2]):
        wrapped[row % grid[0], column % grid[1]] += kernel[row, column]
    return wrapped


def _dilated(kernel: Doubles, rates: tuple[int, int]) -> Doubles:
    """The kernel with zeros between its entries."""
    height, width = ((size - 1) * rate + 1 for size, rate in zip(kernel.shape, rates, strict=False))
    dilated = np.zeros((height, width, *kernel.shape[2:]))
    dilated[:: rates[0], :: rates[1]] = kernel
    return dilated
