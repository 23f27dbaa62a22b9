"""What a long command is going to do, said before it starts."""

from pathlib import Path

import keras

from lsp_keras.evaluation.provenance import hardware
from lsp_keras.pretraining import PretrainSettings
from lsp_keras.runs.files.folder import RunFolder
from lsp_keras.runs.settings.config import FitConfig
from lsp_keras.types import Dataset, DatasetInfo


def describe_data(dataset: Dataset) -> str:
    """Name, shape and counts of the images, and all that was noted when they were read."""
    info = dataset.info
    shape = "x".join(map(str, info.image_shape))
    first = f"Data: {info.name}, {info.num_classes} classes, {shape}."
    return "\n".join([first, *(f"  {note}" for note in info.notes)])


def describe_device() -> str:
    """The GPUs, or the processor where there is none."""
    found = hardware()
    cores = f"{found['cpu']}, {found['cores']} cores"
    return f"Device: {', '.join(found['gpus']) if found['gpus'] else cores}."


def describe_fit(config: FitConfig, folder: RunFolder, dataset: Dataset, parameters: int) -> str:
    """The header of a training run.

    Args:
        config: Resolved settings.
        folder: Folder of the run.
        dataset: Images of the run.
        parameters: Number of the classifier's weights.
    """
    added = "".join(f" + {name}" for name in config.regularizers)
    width = config.model.get("width")
    model = config.model.name if width is None else f"{config.model.name} of width {width}"
    steps = len(dataset.train) // min(config.batch_size, len(dataset.train))
    policy = keras.mixed_precision.global_policy().name
    precision = "" if policy == "float32" else f", {policy}"
    return "\n".join(
        [
            describe_data(dataset),
            describe_device(),
            f"Training: {config.method.name}{added}, {config.epochs} epochs of {steps:,} steps "
            f"with {model} ({parameters:,} weights{precision}).",
            f"Run: {folder.path}",
        ]
    )


def describe_pretraining(settings: PretrainSettings, dataset: Dataset, folder: Path) -> str:
    """The header of an encoder's training.

    Args:
        settings: How the encoder is trained.
        dataset: Dataset to train on.
        folder: Where it is kept.
    """
    resolved = settings.resolved(len(dataset.train))
    steps = len(dataset.train) // (resolved.batch_size or 1)
    length = f"{resolved.epochs} epochs of {steps:,} steps"
    if settings.epochs is None:
        length += f" (--epochs; the default for {len(dataset.train):,} images)"
    return "\n".join(
        [
            describe_data(dataset),
            describe_device(),
            f"Training: MoCo v2, {length} with {resolved.model} of width {resolved.width}.",
            f"Encoder: {folder}",
        ]
    )


def describe_test(info: DatasetInfo, num_images: int, source_size: int) -> str:
    """The images that a model is measured on.

    Args:
        info: Record of the dataset.
        num_images: Images that are measured.
        source_size: Images of the whole test split.
    """
    which = "all" if num_images == source_size else f"a fair sample of {source_size:,}"
    shape = "x".join(map(str, info.image_shape))
    images = f"{num_images:,} test images ({which})"
    return f"Data: {info.name}, {shape}, {images}.\n{describe_device()}"
