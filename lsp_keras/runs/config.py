"""The settings of a training run: one frozen record, read from and written to TOML."""

import tomllib
import typing
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from lsp_keras.runs.settings import (
    check_settings,
    one_of,
    positive_fraction,
    radius,
    registered,
    setting,
    share,
    zero_or_more,
)
from lsp_keras.storage import atomic_path
from lsp_keras.validation import InputError, check_positive, nearest

_REGULARIZERS = ("lsp", "lfr", "adr", "lfrc")
_NEIGHBOR_SOURCES = ("encoder", "embeddings", "neighbors")


@dataclass(frozen=True)
class FitConfig:
    """Settings of one training run; the names are those of `lsp-keras fit`'s options.

    Perturbation sizes are kept as written (`"8/255"`), on the [0, 1] pixel scale.

    Raises:
        InputError: A value is out of its range, or two settings contradict each other.
    """

    dataset: str = setting(
        "digits", "A name from `lsp-keras list datasets`, tfds:NAME or folder:PATH."
    )
    data_dir: str | None = setting(
        None, "Where TFDS keeps its data. Default: $TFDS_DATA_DIR or ~/tensorflow_datasets."
    )
    num_train: int | None = setting(None, "Use only this many training images.", check_positive)
    num_test: int | None = setting(None, "Use only this many test images.", check_positive)
    validation_size: int | None = setting(
        None,
        "Training images held out to choose the epoch. Default: a tenth, at most 1,000.",
        check_positive,
    )
    augmentation: str | None = setting(
        None,
        "crop, crop_flip or none. Default: what suits the dataset.",
        one_of("crop", "crop_flip", "none"),
    )
    model: str = setting("resnet18", "A name from `lsp-keras list models`.", registered("model"))
    width: int = setting(
        64, "Filters of the first stage; 16 is 14 times cheaper than 64.", check_positive
    )
    activation: str = setting(
        "relu", "A Keras activation; smooth ones, such as silu, have second derivatives."
    )
    adv: bool = setting(False, "Train on PGD adversarial images: LSP+ instead of LSP.")
    method: str | None = setting(
        None,
        "A name from `lsp-keras list methods`. Default: at with --adv, else standard.",
        registered("method"),
    )
    beta: float | None = setting(
        None,
        "Weight of the robust term of trades, mart and hat. Default: the method's own.",
        zero_or_more,
    )
    gamma: float | None = setting(
        None, "Weight of hat's helper term. Default: the method's own.", zero_or_more
    )
    helper: str | None = setting(
        None, "hat's helper: a run or a .keras file. Default: trained first, and cached."
    )
    helper_epochs: int | None = setting(
        None, "Of that helper's training. Default: epochs.", check_positive
    )
    lsp: bool = setting(True, "Add Local Structure Preserving regularization.")
    lsp_weight: float = setting(1.0, "Lambda of the LSP loss; 0 only measures it.", zero_or_more)
    lsp_neighbors: str = setting(
        "fresh",
        "Where LSP's neighbors come from: fresh (more images for each step) or batch (the nearest "
        "of the images in it).",
        one_of("fresh", "batch"),
    )
    lsp_target: str = setting(
        "shares",
        "What LSP holds the logits' distances to: shares (Eq. 2), ranks or kernel.",
        one_of("shares", "ranks", "kernel"),
    )
    lsp_perplexity: float = setting(8.0, "Effective number of the kernel's neighbors.")
    lsp_layer: str = setting(
        "logits", "What LSP compares: logits or features.", one_of("logits", "features")
    )
    lsp_control: str = setting(
        "none",
        "A control in LSP's place: uniform, shuffled or random.",
        one_of("none", "uniform", "shuffled", "random"),
    )
    group_size: int | None = setting(
        None,
        "Shuffle images in groups of so many neighbors, such as 32. Default: one by one.",
        check_positive,
    )
    num_neighbors: int = setting(8, "Neighbors of each image.", check_positive)
    divergence: str = setting(
        "l2", "LSP's D(P, Q): kl, cosine, l1, l2, sum_of_squares or mean_of_squares."
    )
    neighbor_batch_norm: str = setting(
        "separate",
        "How neighbors pass BatchNorm: joint, separate, separate_update or inference.",
    )
    neighbor_gradient: bool = setting(True, "Let gradients flow into the neighbors' logits.")
    normalize_logits: bool = setting(False, "L2-normalize logits before their distances.")
    augment_neighbors: bool = setting(False, "Augment neighbor images like training images.")
    features: str = setting(
        "moco",
        "Where neighbors are looked for: moco (an encoder trained on these images first, or "
        "found in the cache) or pixels.",
        one_of("moco", "pixels"),
    )
    encoder_width: int | None = setting(None, "Of that encoder. Default: width.", check_positive)
    encoder_epochs: int = setting(200, "Of that encoder's training.", check_positive)
    encoder: str | None = setting(None, "Your own .keras encoder instead.")
    embeddings: str | None = setting(
        None, "Your own features: an .npy file, one row for each image of the training split."
    )
    normalize_features: bool = setting(True, "Divide features by their length before mining.")
    neighbors: str | None = setting(None, "A neighbor table made by `lsp-keras mine`.")
    space: str = setting(
        "local",
        "local: nearest images; global: random ones (Table 3).",
        one_of("local", "global"),
    )
    lfr: bool = setting(False, "Add local flatness regularization.")
    lfr_weight: float = setting(0.03, "Lambda of the LFR loss; 0 only measures it.", zero_or_more)
    lfr_form: str = setting(
        "finite_difference",
        "How LFR gets its gradient's gradient: finite_difference or double_backprop.",
        one_of("finite_difference", "double_backprop"),
    )
    lfr_warmup: int = setting(0, "Epochs over which LFR's weight grows.", zero_or_more)
    adr: bool = setting(False, "Add local and global compactness regularization.")
    adr_weight: float = setting(
        1.0, "Factor of all of ADR's terms; 0 only measures them.", zero_or_more
    )
    adr_counterpart_share: float = setting(
        0.0, "0.5 with standard or at: ADR's published mean of clean and adversarial loss."
    )
    lfrc: bool = setting(False, "Add latent feature relation consistency.")
    lfrc_weight: float = setting(
        100.0, "Factor of the LFRC loss; 0 only measures it.", zero_or_more
    )
    epsilon: str = setting("8/255", "L-inf radius of the attack in training.", radius)
    attack_steps: int = setting(10, "PGD steps of the attack in training.", check_positive)
    attack_step_size: str | None = setting(
        None, "Default: a quarter of epsilon.", positive_fraction
    )
    epochs: int = setting(30, "Passes over the training images.", check_positive)
    batch_size: int = setting(128, "Images in a training step.", check_positive)
    learning_rate: float = setting(0.1, "The schedule's highest learning rate.", check_positive)
    schedule: str = setting("one_cycle", "one_cycle, step, cosine, cyclic or constant.")
    momentum: float = setting(0.9, "Nesterov momentum of SGD.", share)
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
        0.0, "Adversarial weight perturbation: its size, such as 0.005; 0 is off.", zero_or_more
    )
    awp_warmup: int = setting(0, "Epochs before the weights are perturbed.", zero_or_more)
    mixed_precision: bool = setting(
        False, "Train in half precision, attacks included; measure and keep float32."
    )
    xla: bool = setting(
        False, "Compile the training step with XLA (for a GPU; small networks gain the most)."
    )
    validation_epsilon: str | None = setting(
        None,
        "Radius at which epochs are compared. Default: epsilon for methods that attack, else "
        "2/255.",
        radius,
    )
    select_by: str | None = setting(
        None,
        "Keep the epoch with the best robust or clean accuracy on held-out images. "
        "Default: robust for methods that attack, else clean.",
        one_of("robust", "clean"),
    )
    early_stopping: int | None = setting(
        None,
        "Stop after so many epochs without a better accuracy on held-out images. Default: never.",
        check_positive,
    )
    stop_at_collapse: bool = setting(True, "Stop where held-out accuracy falls back to chance.")
    overfitting_guard: bool = setting(
        True,
        "With fast_at and nuat: go back, and make the attack stronger, where the network has "
        "learned the attack's step instead of robustness.",
    )
    tensorboard: bool = setting(False, "Write the history for TensorBoard too.")
    seed: int = setting(0, "Of weights, batches, augmentation and attacks.")
    deterministic: bool = setting(
        True,
        "Use deterministic operations only, so that the same seed gives the same weights; without "
        "them a GPU is faster and a resumed run can differ in the last bits.",
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.adv and self.method not in (None, "at"):
            raise InputError(
                f"--adv is short for --method at. Received both --adv and --method {self.method}; "
                "leave one out."
            )
        if self.helper is not None and self.helper_epochs is not None:
            raise InputError(
                "`helper_epochs` is for a helper that is trained first, and `helper` names a "
                "trained one. Leave one out."
            )
        given = [name for name in _NEIGHBOR_SOURCES if getattr(self, name) is not None]
        if len(given) > 1:
            raise InputError(f"Neighbors have one source. Received: {', '.join(given)}.")

    @property
    def resolved_method(self) -> str:
        """Name of the training method."""
        return self.method or ("at" if self.adv else "standard")

    @property
    def label(self) -> str:
        """Short name of dataset, method and regularizers, such as `svhn-at+lsp`."""
        dataset = Path(self.dataset).name.replace(":", "-")
        added = [f"+{name}" for name in _REGULARIZERS if getattr(self, name)]
        return f"{dataset}-{self.resolved_method}{''.join(added)}"


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
