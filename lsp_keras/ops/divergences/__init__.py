"""How far one distribution over m entries is from another: one value per example.

Every divergence has the signature `(target, estimate)`, both float `(batch, m)` with rows that
sum to one, returns `(batch,)`, is zero where they are equal, and has a finite gradient with
respect to `estimate` everywhere. Arguments of its own are keyword-only and have defaults. Each
file is one divergence.
"""

from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from lsp_keras import registry

Divergence = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


# Files are looked up while a graph is traced: plain Python, which AutoGraph must leave alone.
@tf.autograph.experimental.do_not_convert
def get(divergence: str | Mapping[str, Any]) -> Divergence:
    """A divergence by name.

    Args:
        divergence: Name of a divergence; or a mapping of `name` and of arguments of its own.

    Raises:
        InputError: There is none of that name, or it has no such argument.
    """
    return registry.bound("divergence", divergence)
