"""The settings of a training run: one frozen record, read from and written to TOML."""

import tomllib
import types
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from lsp_keras import registry
from lsp_keras.storage import atomic_path
from lsp_keras.types import ThreatModel
from lsp_keras.validation import InputError, check_choice, check_positive, nearest, parse_fraction

_POSITIVE = ("width", "num_neighbors", "encoder_epochs", "attack_steps", "epochs", "batch_size")
_NEIGHBOR_SOURCES = ("encoder", "embeddings", "neighbors")


def _setting(default: Any, text: str) -> Any:
    return field(default=default, metadata={"help": text})


@dataclass(frozen=True)
class FitConfig:
    """Settings of one training run; the names are those of `lsp-keras fit`'s options.

    Perturbation sizes are kept as written (`"8/255"`), on the [0, 1] pixel scale.

    Raises:
        InputError: A value is out of its range, or two settings contradict each other.
    """

    dataset: str = _setting(
        "digits", "A name from `lsp-keras list datasets`, tfds:NAME or folder:PATH."
    )
    data_dir: str | None = _setting(
        None, "Where TFDS keeps its data. Default: $TFDS_DATA_DIR or ~/tensorflow_datasets."
    )
    num_train: int | None = _setting(None, "Use only this many training images.")
    num_test: int | None = _setting(None, "Use only this many test images.")
    validation_size: int | None = _setting(
        None, "Training images held out to choose the epoch. Default: a tenth, at most 1,000."
    )
    model: str = _setting("resnet18", "A name from `lsp-keras list models`.")
    width: int = _setting(64, "Filters of the first stage; 16 is 14 times cheaper than 64.")
    adv: bool = _setting(False, "Train on PGD adversarial images: LSP+ instead of LSP.")
    method: str | None = _setting(
        None, "A name from `lsp-keras list methods`. Default: at with --adv, else standard."
    )
    lsp: bool = _setting(True, "Add Local Structure Preserving regularization.")
    lsp_weight: float = _setting(1.0, "Lambda of the LSP loss; 0 only measures it.")
    num_neighbors: int = _setting(8, "Neighbors of each image.")
    divergence: str = _setting(
        "l2", "LSP's D(P, Q): kl, cosine, l1, l2, sum_of_squares or mean_of_squares."
    )
    neighbor_batch_norm: str = _setting(
        "separate",
        "How neighbors pass BatchNorm: joint, separate, separate_update or inference.",
    )
    neighbor_gradient: bool = _setting(True, "Let gradients flow into the neighbors' logits.")
    normalize_logits: bool = _setting(False, "L2-normalize logits before their distances.")
    augment_neighbors: bool = _setting(False, "Augment neighbor images like training images.")
    features: str = _setting(
        "moco",
        "Where neighbors are looked for: moco (an encoder trained on these images first, or "
        "found in the cache) or pixels.",
    )
    encoder_width: int | None = _setting(None, "Of that encoder. Default: width.")
    encoder_epochs: int = _setting(200, "Of that encoder's training.")
    encoder: str | None = _setting(None, "Your own .keras encoder instead.")
    embeddings: str | None = _setting(
        None, "Your own features: an .npy file, one row for each image of the training split."
    )
    normalize_features: bool = _setting(True, "Divide features by their length before mining.")
    neighbors: str | None = _setting(None, "A neighbor table made by `lsp-keras mine`.")
    space: str = _setting("local", "local: nearest images; global: random ones (Table 3).")
    epsilon: str = _setting("8/255", "L-inf radius of the attack in training.")
    attack_steps: int = _setting(10, "PGD steps of the attack in training.")
    attack_step_size: str | None = _setting(None, "Default: a quarter of epsilon.")
    epochs: int = _setting(30, "Passes over the training images.")
    batch_size: int = _setting(128, "Images in a training step.")
    learning_rate: float = _setting(0.1, "The schedule's highest learning rate.")
    schedule: str = _setting("one_cycle", "one_cycle, step, cosine or constant.")
    momentum: float = _setting(0.9, "Nesterov momentum of SGD.")
    weight_decay: float = _setting(5e-4, "L2 penalty, as in PyTorch's SGD.")
    mixed_precision: bool = _setting(False, "Compute in half precision (for a GPU).")
    validation_epsilon: str | None = _setting(
        None, "Radius at which epochs are compared. Default: epsilon with --adv, else 2/255."
    )
    select_by: str | None = _setting(
        None,
        "Keep the epoch with the best robust or clean accuracy on held-out images. "
        "Default: robust for methods that attack, else clean.",
    )
    seed: int = _setting(0, "Of weights, batches, augmentation and attacks.")

    def __post_init__(self) -> None:
        check_types(self)
        for name in _POSITIVE:
            check_positive(name, getattr(self, name))
        check_positive("learning_rate", self.learning_rate)
        for name in ("lsp_weight", "momentum", "weight_decay"):
            check_positive(name, getattr(self, name), allow_zero=True)
        for name in ("num_train", "num_test", "validation_size", "encoder_width"):
            if getattr(self, name) is not None:
                check_positive(name, getattr(self, name))
        for kind in ("model", "method"):
            if getattr(self, kind) is not None:
                registry.check(kind, getattr(self, kind))
        if self.adv and self.method not in (None, "at"):
            raise InputError(
                f"--adv is short for --method at. Received both --adv and --method {self.method}; "
                "leave one out."
            )
        given = [name for name in _NEIGHBOR_SOURCES if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(f"Neighbors have one source. Received: {', '.join(given)}.")
        check_choice("features", self.features, ("moco", "pixels"))
        check_choice("space", self.space, ("local", "global"))
        if self.select_by is not None:
            check_choice("select_by", self.select_by, ("robust", "clean"))
        ThreatModel.parse(self.epsilon)
        if self.validation_epsilon is not None:
            ThreatModel.parse(self.validation_epsilon)
        if self.attack_step_size is not None:
            check_positive("attack_step_size", parse_fraction(self.attack_step_size))

    @property
    def resolved_method(self) -> str:
        """Name of the training method."""
        return self.method or ("at" if self.adv else "standard")

    @property
    def label(self) -> str:
        """Short name of dataset and method, such as `svhn-at+lsp`."""
        dataset = Path(self.dataset).name.replace(":", "-")
        return f"{dataset}-{self.resolved_method}{'+lsp' if self.lsp else ''}"


def check_types(config: FitConfig) -> None:
    """Raises `InputError` for a value that is not of its field's type; int passes for float."""
    for name, annotation in typing.get_type_hints(type(config)).items():
        value = getattr(config, name)
        allowed = typing.get_args(annotation) if isinstance(annotation, types.UnionType) else ()
        allowed = allowed or (annotation,)
        if float in allowed:
            allowed = (*allowed, int)
        if type(value) not in allowed:
            expected = " or ".join(kind.__name__ for kind in allowed if kind is not types.NoneType)
            raise InputError(f"`{name}` must be of type {expected}. Received: {value!r}.")


def settings() -> dict[str, tuple[Any, Any, str]]:
    """`{name: (type, default, help)}` of every setting, in order."""
    hints = typing.get_type_hints(FitConfig)
    return {
        item.name: (hints[item.name], item.default, item.metadata["help"])
        for item in fields(FitConfig)
    }


def config_from(values: Mapping[str, Any], *, source: str) -> FitConfig:
    """Record from a mapping.

    Args:
        values: Settings by name; those left out keep their defaults.
        source: Where the values come from, for error messages.

    Raises:
        InputError: A name is unknown, or a value is wrong.
    """
    known = [item.name for item in fields(FitConfig)]
    for name in values:
        if name not in known:
            raise InputError(f"Unknown setting {name!r} in {source}.{nearest(name, known)}")
    return replace(FitConfig(), **values)


def read_config(path: Path | str) -> dict[str, Any]:
    """Settings of a TOML file.

    Raises:
        InputError: There is no such file, or it is not TOML.
    """
    try:
        return tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"There is no file {path}.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
        raise InputError(f"{path} is not a TOML file: {error}") from error


def write_config(path: Path, config: FitConfig) -> None:
    """Writes every setting that has a value, so that the file is a recipe itself."""
    import tomli_w

    values = {name: value for name, value in asdict(config).items() if value is not None}
    with atomic_path(path) as temporary:
        temporary.write_text(tomli_w.dumps(values), encoding="utf-8")


def find_recipe(name_or_file: str) -> dict[str, Any]:
    """Settings of a published recipe by its name, or of the user's own TOML file.

    Raises:
        InputError: It is neither; the message lists the recipes.
    """
    path = Path(name_or_file)
    if path.suffix == ".toml" or path.is_file():
        return read_config(path)
    registry.check("recipe", name_or_file)
    return read_config(Path(__file__).parent / f"{name_or_file.replace('-', '_')}.toml")


def recipe_summary(name: str) -> str:
    """The comment in a recipe's first line.

    Raises:
        InputError: There is no such recipe.
    """
    stem = registry.check("recipe", name)
    text = (Path(__file__).parent / f"{stem}.toml").read_text(encoding="utf-8")
    return text.partition("\n")[0].lstrip("# ")
