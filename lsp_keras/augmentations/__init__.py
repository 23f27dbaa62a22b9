"""Random changes of training images: drawing the values and applying them are two functions."""

from typing import TYPE_CHECKING

from lsp_keras._face import show
from lsp_keras.augmentations._base import Augmentation

if TYPE_CHECKING:
    from lsp_keras.augmentations.augmix import AugMix
    from lsp_keras.augmentations.crop import Crop
    from lsp_keras.augmentations.crop_flip import CropFlip

__all__ = ["AugMix", "Augmentation", "Crop", "CropFlip"]

show(__name__, kind="augmentation")
