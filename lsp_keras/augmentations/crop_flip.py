"""Random crop, and every other image mirrored left to right."""

from lsp_keras.augmentations.crop import Crop

__all__ = ["CropFlip"]


class CropFlip(Crop):
    """As `Crop`, and with probability one half mirrored left to right.

    For images whose class does not change in a mirror: not for digits or letters.
    """

    flips = True
