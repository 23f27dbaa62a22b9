import numpy as np
import pytest

from lsp_keras.models import resnet18
from lsp_keras.validation import InputError


def test_convolutions_start_with_the_variance_of_he() -> None:
    kernel = np.asarray(resnet18(10, width=32).get_layer("stage4_block2_conv1").kernel)
    assert kernel.var() == pytest.approx(2 / (9 * 256), rel=0.02)


def test_layers_of_equal_shape_start_unequal() -> None:
    model = resnet18(10, width=2, input_shape=(16, 16, 3))
    first, second = (model.get_layer(f"stage1_block{index}_conv1").kernel for index in (1, 2))
    assert np.abs(np.asarray(first) - np.asarray(second)).max() > 0.1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_shape": (8, 8, 3)}, r"16 pixels or more in .* Received: input_shape=\(8, 8"),
        ({"input_shape": (15, 32, 3)}, "Resize the images first"),
        ({"mean": (0.5, 0.5)}, "one value for each of the 3 channels"),
        ({"std": (0.5, 0.0, 0.5)}, "`std` must be greater than zero"),
        ({"width": 0}, "`width` must be greater than zero"),
    ],
)
def test_refuses_what_it_cannot_build(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        resnet18(10, **options)  # type: ignore[arg-type]
