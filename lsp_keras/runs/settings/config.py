"""The settings of a training run: one frozen record, read from and written to TOML."""

import typing
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from lsp_keras import registry
from lsp_keras.choices import ResizeMode, ScheduleName, SpaceName
from lsp_keras.runs.settings.flags import REGULARIZERS, SECTIONS, Flag, Place, flags
from lsp_keras.runs.settings.layers import SWITCHES, Tree, flat_names, merge, to_tree
from lsp_keras.runs.settings.setting import (
    check_settings,
    module_and_class,
    on_this_machine,
    published_evaluation,
    radius,
    section,
    seed_number,
    setting,
    share,
    zero_or_more,
)
from lsp_keras.runs.settings.toml_file import read_config as read_config
from lsp_keras.runs.settings.units import Unit, nested
from lsp_keras.storage import atomic_path
from lsp_keras.validation import InputError, check_positive, parse_epsilon, parse_fraction

_NEIGHBOR_SOURCES = ("encoder", "embeddings", "neighbors")
_SWITCHED_ON = ("lsp",)
# How images are read: settings that are arguments of `lsp_keras.datasets.load` too.
READING = ("image_size", "resize", "channels", "split_train", "split_test")


def _default_regularizers() -> dict[str, Unit]:
    return {name: Unit("regularizer", name) for name in _SWITCHED_ON}


@dataclass(frozen=True)
class FitConfig:
    """Settings of one training run: those of the run itself, and its units with their own.

    `FitConfig.of` takes all of them by the names of `lsp-keras fit`'s options. Perturbation sizes
    are kept as written (`"8/255"`), on the [0, 1] pixel scale.

    Attributes:
        dataset: Whose images are trained on.
        augmentation: How they are changed; `None` is what suits the dataset.
        model: The classifier.
        attack: The attack in training; its budget is that of regularizers too.
        method: How the classifier is trained.
        regularizers: Terms added to the method's, by name.

    Raises:
        InputError: A value is out of its range, or two settings contradict each other.
    """

    dataset: Unit = section("dataset")
    augmentation: Unit | None = section("augmentation")
    model: Unit = section("model")
    attack: Unit = section("attack")
    method: Unit = section("method")
    regularizers: Mapping[str, Unit] = field(default_factory=_default_regularizers)
    data_dir: str | None = setting(
        None,
        "Where TFDS keeps its data. Default: $TFDS_DATA_DIR or ~/tensorflow_datasets.",
        on_this_machine,
    )
    num_train: int | None = setting(None, "Use only this many training images.", check_positive)
    num_test: int | None = setting(None, "Use only this many test images.", check_positive)
    validation_size: int | None = setting(
        None,
        "Training images held out to choose the epoch. Default: a tenth, at most 1,000.",
        check_positive,
    )
    image_size: str | None = setting(
        None,
        "Size of all images: HEIGHTxWIDTH, or one number for both. Default: that of the source, or "
        "of most images of a folder.",
    )
    resize: ResizeMode = setting("crop", "What is done to images of another size than image_size.")
    channels: int | None = setting(
        None, "3 for RGB, 1 for gray. Default: those of the source.", check_positive
    )
    split_train: str | None = setting(
        None, "Split or folder to train on. Default: the usual one of the source."
    )
    split_test: str | None = setting(
        None, "Split or folder to test on. Default: the usual one of the source."
    )
    data_seed: int = setting(
        0,
        "Seed of the choice of images: those held out, and those that limits keep.",
        seed_number,
    )
    group_size: int | None = setting(
        None,
        "Shuffle images in groups of so many neighbors, such as 32. Default: one by one.",
        check_positive,
    )
    num_neighbors: int = setting(8, "Neighbors of each image.", check_positive)
    augment_neighbors: bool = setting(False, "Augment neighbor images like training images.")
    features: Literal["moco", "pixels"] = setting(
        "moco",
        "Where neighbors are looked for: moco (an encoder trained on these images first, or "
        "found in the cache) or pixels.",
    )
    encoder_width: int | None = setting(
        None, "Filters of the moco encoder's first stage. Default: width.", check_positive
    )
    encoder_epochs: int | None = setting(
        None,
        "Epochs of the moco encoder's training. Default: 200, as published, and fewer where there "
        "are few images.",
        check_positive,
    )
    encoder: str | None = setting(
        None,
        "A .keras encoder of your own, to look for neighbors in its features.",
        on_this_machine,
    )
    embeddings: str | None = setting(
        None,
        "Features of your own to look for neighbors in: an .npy file, one row for each image of "
        "the training split.",
        on_this_machine,
    )
    normalize_features: bool = setting(True, "Divide features by their length before mining.")
    neighbors: str | None = setting(
        None, "A neighbor table made by `lsp-keras mine`.", on_this_machine
    )
    space: SpaceName = setting("local", "local: nearest images; global: random ones (Table 3).")
    start_from: str | None = setting(
        None,
        "Weights to start from, also as --from: a run, zoo:NAME, a .keras or a .weights.h5 file. "
        "Without --model a run or .keras file brings its model too.",
        on_this_machine,
    )
    pixel_range: str | None = setting(
        None,
        "Range of pixels that a model of your own takes, such as 0,255. Default: what its first "
        "layers tell, else 0,1.",
    )
    freeze_backbone_epochs: int = setting(
        0, "Epochs in which only the last layer learns.", zero_or_more
    )
    backbone_rate: float = setting(
        1.0, "Learning rate of all layers but the last, as a part of the last one's.", zero_or_more
    )
    batch_norm: Literal["train", "frozen", "converted"] = setting(
        "train",
        "train: BatchNorm follows the training images; frozen: it stays as it was; converted: it "
        "becomes the scale and shift that it is, which learn on without statistics of a batch.",
    )
    epochs: int = setting(30, "Passes over the training images.", check_positive)
    batch_size: int = setting(128, "Images in a training step.", check_positive)
    learning_rate: float = setting(0.1, "The schedule's highest learning rate.", check_positive)
    schedule: ScheduleName = setting("one_cycle", "How the learning rate changes over the run.")
    momentum: float = setting(0.9, "Nesterov momentum of SGD.", share)
    cycle_momentum: bool = setting(
        False, "With one_cycle: momentum from 0.95 down to 0.85 and back, as PyTorch's OneCycleLR."
    )
    weight_decay: float = setting(5e-4, "L2 penalty, as in PyTorch's SGD.", zero_or_more)
    clip_norm: float | None = setting(
        None, "Largest norm of all gradients together. Default: none.", check_positive
    )
    label_smoothing: float = setting(
        0.0, "Share of each label that is spread over all classes.", share
    )
    ema_decay: float | None = setting(
        None,
        "Also keep and evaluate an average of the weights, such as 0.999. Default: none.",
        share,
    )
    awp: float = setting(
        0.0, "Size of adversarial weight perturbations, such as 0.005; 0 is off.", zero_or_more
    )
    awp_warmup: int = setting(0, "Epochs before the weights are perturbed.", zero_or_more)
    mixed_precision: bool = setting(
        False, "Train in half precision, attacks included; measure and keep float32."
    )
    xla: bool = setting(
        False,
        "Compile the training step with XLA, for a GPU, where small networks gain the most; takes "
        "--no-deterministic.",
    )
    validation_epsilon: str | None = setting(
        None,
        "Radius at which epochs are compared. Default: epsilon for methods that attack, else "
        "2/255.",
        radius,
    )
    select_by: Literal["robust", "clean"] | None = setting(
        None,
        "Keep the epoch with the best robust or clean accuracy on held-out images. "
        "Default: robust for methods that attack, else clean.",
    )
    early_stopping: int | None = setting(
        None,
        "Stop after so many epochs without a better accuracy on held-out images. Default: never.",
        check_positive,
    )
    stop_at_collapse: bool = setting(True, "Stop where held-out accuracy falls back to chance.")
    overfitting_guard: bool = setting(
        True,
        "With single-step attacks: go back, and attack harder, where the network has learned the "
        "attack's step instead of robustness.",
    )
    tensorboard: bool = setting(False, "Write the history for TensorBoard too.")
    logger: str | None = setting(
        None,
        "A Keras callback of yours that sees each epoch, as module:Class; for MLflow and others. "
        "It gets the run's `folder` and `settings` where its constructor names them.",
        module_and_class,
    )
    evaluation: str | None = setting(
        None,
        "The published evaluation that belongs to the run: what `attack --suite paper` does.",
        published_evaluation,
    )
    seed: int = setting(0, "Seed of weights, batches, augmentation and attacks.", seed_number)
    deterministic: bool = setting(
        True,
        "Use deterministic operations only, so that the same seed gives the same weights; without "
        "them a GPU is faster and a resumed run can differ in the last bits.",
    )

    def __post_init__(self) -> None:
        check_settings(self, run_settings())
        _check_budget(self.attack)
        if self.xla and self.deterministic:
            raise InputError(
                "Keras leaves a step uncompiled where operations must be deterministic. Pass "
                "deterministic=False (--no-deterministic) with xla=True (--xla), or leave XLA off."
            )
        if None not in (self.method.get("helper"), self.method.get("helper_epochs")):
            raise InputError(
                "`helper_epochs` is for a helper that is trained first, and `helper` names a "
                "trained one. Leave one out."
            )
        if self.cycle_momentum and self.schedule != "one_cycle":
            raise InputError(
                "`cycle_momentum` follows the schedule one_cycle. "
                f"Received: schedule={self.schedule!r}."
            )
        given = [name for name in _NEIGHBOR_SOURCES if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(f"Neighbors have one source. Received: {', '.join(given)}.")

    @classmethod
    def of(cls, **settings: Any) -> "FitConfig":
        """The record of some settings, by the names of options or by section.

        Args:
            settings: Settings such as `epochs=3`, `width=16`, `lsp=False` or
                `method={"name": "trades", "beta": 3.0}`; those left out keep their defaults.

        Raises:
            InputError: A name is unknown, or a value is wrong.

        Example:
            >>> FitConfig.of(dataset="digits", method="trades", beta=3.0).method["beta"]
            3.0
        """
        return config_from(settings, source="the settings")

    def changed(self, **settings: Any) -> "FitConfig":
        """The record with some settings changed; arguments as of `of`."""
        changes = to_tree(settings, run_names(), source="the settings")
        return _built(merge(to_tree(self.to_dict(), run_names(), source="the record"), changes))

    def units(self) -> dict[str, Unit]:
        """The chosen unit of each section that has one; regularizers are none of them."""
        chosen = {name: getattr(self, name) for name in SECTIONS}
        return {name: unit for name, unit in chosen.items() if unit is not None}

    def to_dict(self) -> dict[str, Any]:
        """Every setting that has a value, as TOML holds it."""
        own = {name: getattr(self, name) for name in run_names()}
        values: dict[str, Any] = {name: value for name, value in own.items() if value is not None}
        values |= {name: unit.to_plain() for name, unit in self.units().items()}
        off = {name: False for name in _SWITCHED_ON if name not in self.regularizers}
        added = {name: dict(unit.given) for name, unit in self.regularizers.items()}
        return values | ({REGULARIZERS: off | added} if off or added else {})

    def flat(self) -> dict[str, Any]:
        """Every setting that is given or of the run itself, by the name of its option."""
        names = {flag.place: flag.name for flag in unit_flags()}
        values: dict[str, Any] = {}
        for section_name, unit in self.units().items():
            values[section_name] = unit.name
            values |= {names[section_name, key]: value for key, value in unit.given.items()}
        for name in registry.names("regularizer"):
            values[name] = name in self.regularizers
        for name, unit in self.regularizers.items():
            values |= {names[REGULARIZERS, name, key]: v for key, v in unit.given.items()}
        return values | {name: getattr(self, name) for name in run_names()}

    @property
    def label(self) -> str:
        """Short name of dataset, method and regularizers, such as `svhn-at+lsp`."""
        dataset = Path(self.dataset.name).name.replace(":", "-")
        return f"{dataset}-{self.method.name}{''.join(f'+{name}' for name in self.regularizers)}"


def _check_budget(attack: Unit) -> None:
    parse_epsilon(attack["epsilon"], attack["norm"])
    step_size = attack.get("step_size")
    if step_size is not None:
        check_positive("step_size", parse_fraction(step_size))


def run_settings() -> dict[str, tuple[Any, Any, str]]:
    """`{name: (type, default, help)}` of the run's own settings, in order."""
    hints = typing.get_type_hints(FitConfig)
    return {
        item.name: (hints[item.name], item.default, item.metadata["help"])
        for item in fields(FitConfig)
        if "help" in item.metadata
    }


def run_names() -> tuple[str, ...]:
    """Names of the run's own settings."""
    return tuple(item.name for item in fields(FitConfig) if "help" in item.metadata)


def unit_flags() -> tuple[Flag, ...]:
    """The settings of all units as options."""
    return flags(run_names())


def config_from(values: Mapping[str, Any], *, source: str) -> FitConfig:
    """Record from a mapping.

    Args:
        values: Settings by section or by their options' names; those left out keep their
            defaults.
        source: Where the values come from, for error messages.

    Raises:
        InputError: A name is unknown, or a value is wrong.
    """
    return _built(to_tree(values, run_names(), source=source))


def config_from_layers(layers: Mapping[str, Mapping[str, Any]]) -> FitConfig:
    """Record from several mappings, each over the ones before.

    Args:
        layers: Layers of settings by where they come from, for error messages.
    """
    tree: Tree = {}
    for source, values in layers.items():
        tree = merge(tree, to_tree(values, run_names(), source=source))
    return _built(tree)


def old_names(values: Mapping[str, Any]) -> dict[str, Place]:
    """Settings of a file that stand outside of the section where they belong now."""
    return flat_names(values, run_names())


def _built(tree: Mapping[str, Any]) -> FitConfig:
    """The record that a tree stands for."""
    own = {name: value for name, value in tree.items() if name in run_names()}
    units: dict[str, Any] = {name: _unit(name, tree.get(name, {})) for name in SECTIONS}
    switches = dict.fromkeys(_SWITCHED_ON, True) | tree.get(SWITCHES, {})
    for name, switch in switches.items():
        if not isinstance(switch, bool):
            raise InputError(f"`{name}` must be of type bool. Received: {switch!r}.")
    given = tree.get(REGULARIZERS, {})
    # The order of the terms in the sum, which the last digits of a loss depend on.
    on = sorted((name for name, switch in switches.items() if switch), reverse=True)
    regularizers = {
        name: Unit("regularizer", name, nested("regularizer", name, given.get(name, {})))
        for name in on
    }
    return FitConfig(**units, regularizers=regularizers, **own)


def _unit(section: str, node: Mapping[str, Any]) -> Unit | None:
    given = {key: value for key, value in node.items() if key != "name" and value is not None}
    name = node.get("name", SECTIONS[section])
    if name is None:
        if given:
            raise InputError(f"Name the {section} whose {', '.join(given)} is set.")
        return None
    if not isinstance(name, str):
        raise InputError(f"The {section}'s name must be of type str. Received: {name!r}.")
    return Unit(section, name, nested(section, name, given))


def images_seed(values: Mapping[str, Any]) -> int:
    """The seed by which a run's images were chosen.

    Args:
        values: The run's settings; before images had a seed of their own, the run's chose them.
    """
    return int(values.get("data_seed", values.get("seed", 0)))


def write_config(path: Path, config: FitConfig) -> None:
    """Writes every setting that has a value, so that the file is a recipe itself."""
    import tomli_w

    with atomic_path(path) as temporary:
        temporary.write_text(tomli_w.dumps(config.to_dict()), encoding="utf-8")
