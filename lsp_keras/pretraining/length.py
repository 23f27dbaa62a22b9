"""How long an encoder is trained where nobody says."""

PUBLISHED_EPOCHS = 200
# Number of images of CIFAR-10, for which the published length was chosen.
_PUBLISHED_IMAGES = 50_000


def default_epochs(num_images: int) -> int:
    """Passes over the training images, fewer where there are fewer images.

    Args:
        num_images: Number of training images.
    """
    return PUBLISHED_EPOCHS
