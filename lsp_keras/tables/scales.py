"""How much of a published setting a table takes: images, width, epochs, attacks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lsp_keras import registry
from lsp_keras.runs.settings.config import FitConfig
from lsp_keras.runs.settings.resolve import helped
from lsp_keras.validation import check_choice

FULL = "paper"


@dataclass(frozen=True)
class Scale:
    """One size of all of a table's rows.

    Attributes:
        name: Name of the scale.
        settings: Settings that replace those of a recipe.
        attack_steps: Steps of the attack in training, `None` to keep the recipe's.
        num_examples: Test images that are attacked, `None` for all.
        autoattack: Whether AutoAttack runs where nothing is said of it.
    """

    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    attack_steps: int | None = None
    num_examples: int | None = None
    autoattack: str = "standard"

    def apply(self, config: FitConfig) -> FitConfig:
        """The settings at this scale; a helper trains as long as the network itself."""
        if not self.settings:
            return config
        # A model of one's own has the width that it has.
        left_out = () if config.model.get("width") else ("width",)
        settings = {name: v for name, v in self.settings.items() if name not in left_out}
        changed = config.changed(**settings)
        if helped(changed):
            changed = changed.changed(helper_epochs=changed.epochs)
        if self.attack_steps is not None and _takes_steps(changed):
            changed = changed.changed(attack={"num_steps": self.attack_steps})
        return changed

    def describe(self, config: FitConfig, num_examples: int | None) -> str:
        """What the numbers are from, and that it is not the paper's setting where it is not."""
        tested = "all" if num_examples is None else f"{num_examples:,}"
        if self.name == FULL:
            return f"the published setting, {tested} test images"
        trained = "all" if config.num_train is None else f"{config.num_train:,}"
        width = config.model.get("width")
        steps = config.attack["num_steps"] if _takes_steps(config) else None
        attacked = f", attacks of {steps} steps" if steps else ""
        model = config.model.name if width is None else f"{config.model.name} of width {width}"
        return (
            f"{trained} training images, {config.epochs} epochs, {model}{attacked}, {tested} test "
            "images: not the published setting"
        )


SCALES = {
    "tiny": Scale(
        "tiny",
        {
            "num_train": 256,
            "validation_size": 48,
            "width": 4,
            "epochs": 2,
            "batch_size": 32,
            "features": "pixels",
        },
        attack_steps=2,
        num_examples=64,
        autoattack="none",
    ),
    "small": Scale(
        "small",
        {
            "num_train": 10_000,
            "validation_size": 500,
            "width": 8,
            "epochs": 15,
            "features": "moco",
            "encoder_epochs": 15,
        },
        attack_steps=5,
        num_examples=500,
    ),
    FULL: Scale(FULL),
}


def find_scale(name: str) -> Scale:
    """A scale by its name.

    Raises:
        InputError: There is no such scale.
    """
    return SCALES[check_choice("scale", name, SCALES)]


def _takes_steps(config: FitConfig) -> bool:
    """Whether the method trains on images of an attack of several steps."""
    return "attack" in registry.arguments("method", config.method.name)


@dataclass(frozen=True)
class Sizes:
    """What there is of a dataset."""

    train: int
    test: int

    def fit(self, config: FitConfig) -> FitConfig:
        """The settings without limits that the dataset does not reach."""
        held_out = config.validation_size or 0
        if config.num_train is not None and config.num_train + held_out > self.train:
            return config.changed(num_train=None, validation_size=None)
        return config

    def tested(self, num_examples: int | None) -> int | None:
        """As many test images as there are at most."""
        return None if num_examples is None else min(num_examples, self.test)


def sizes_of(dataset: str, *, data_dir: Path | None, cache_dir: Path | None) -> Sizes:
    """Number of training and test images.

    Raises:
        InputError: The dataset cannot be loaded.
    """
    from lsp_keras import datasets

    loaded = datasets.load(dataset, data_dir=data_dir, cache_dir=cache_dir)
    return Sizes(len(loaded.train) + len(loaded.validation), len(loaded.test))
