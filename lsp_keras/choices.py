"""What can be chosen by name: the one place that lists it, read without TensorFlow and NumPy."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal, NamedTuple, get_args

Norm = Literal["linf", "l2", "l1"]
ScheduleName = Literal["one_cycle", "step", "cosine", "cyclic", "constant"]
NeighborBatchNorm = Literal["separate", "separate_update", "joint", "inference"]
FlatnessForm = Literal["finite_difference", "double_backprop"]
ObjectiveName = Literal["cross_entropy", "margin", "dlr", "softmax_cross_entropy"]
StartName = Literal["uniform", "gaussian"]
ResizeMode = Literal["crop", "pad", "stretch"]
SpaceName = Literal["local", "global"]
IndexName = Literal["auto", "scann_exact", "scann_tree", "sklearn"]
WeightsName = Literal["best", "last", "ema"]
StemName = Literal["auto", "small", "half", "imagenet"]
NORMS: tuple[Norm, ...] = get_args(Norm)
NORM_TEXTS: Mapping[Norm, str] = {"linf": "L-inf", "l2": "L2", "l1": "L1"}
# Over what a batch is spread in training, see `lsp_keras.training.distribution`.
DISTRIBUTIONS = ("none", "auto", "mirrored", "multi_worker", "slurm")
# The radii that published results use, as text.
DEFAULT_EPSILONS: Mapping[str, str] = {"linf": "8/255", "l2": "128/255", "l1": "12"}


class Registered(NamedTuple):
    """Marks the type of an argument whose value chooses a registered unit.

    Attributes:
        kind: Kind of unit, as the registry names it.
    """

    kind: str


# A unit's name, or a mapping of `name` and of arguments of its own.
DivergenceChoice = Annotated[str | Mapping[str, Any], Registered("divergence")]
LossChoice = Annotated[str | Mapping[str, Any], Registered("loss")]
