"""How a classifier is exported."""

from dataclasses import dataclass
from typing import get_args

from lsp_keras.choices import ResizeMode
from lsp_keras.validation import InputError, check_choice


@dataclass(frozen=True)
class ExportOptions:
    """Choices that change the SavedModel.

    Attributes:
        float16: Whether weights are kept and used in half precision: half the size, faster on GPUs,
            slower on most CPUs. Outputs stay float32.
        xla: Whether the classifier is compiled with XLA, anew for each batch size. TensorFlow
            Serving needs the flag `--xla_cpu_compilation_enabled` to run it on a CPU.
        resize: How encoded files of another size are brought to the model's: `"crop"`, `"pad"` or
            `"stretch"`, as the images that it was trained on were.
        max_batch_size: More images in a request are an error; `None` for no limit.
    """

    float16: bool = False
    xla: bool = False
    resize: str = "crop"
    max_batch_size: int | None = None

    def __post_init__(self) -> None:
        check_choice("resize", self.resize, get_args(ResizeMode))
        if self.max_batch_size is not None and self.max_batch_size < 1:
            raise InputError(
                "`max_batch_size` must be 1 or more. "
                f"Received: max_batch_size={self.max_batch_size}."
            )
