"""Records."""

import numpy as np
import pytest

from lsp_keras.types import Examples, Flag, NeighborTable, ThreatModel, as_floats
from lsp_keras.validation import InputError


def make_examples(count: int) -> Examples:
    images = np.arange(count * 3, dtype=np.uint8).reshape(count, 1, 1, 3)
    return Examples(images, np.arange(count) % 2, np.arange(count) + 100)


def test_select_keeps_rows_together() -> None:
    split = make_examples(4).select(np.array([3, 1]))
    assert split.images[:, 0, 0, 0].tolist() == [9, 3]
    assert split.labels.tolist() == [1, 1]
    assert split.indices.tolist() == [103, 101]


def test_take_more_than_there_is_takes_all() -> None:
    assert len(make_examples(4).take(9)) == len(make_examples(4).take(None)) == 4
    assert len(make_examples(4).take(2)) == 2


def test_bytes_and_floats_of_the_same_pixels_are_the_same_floats() -> None:
    stored = make_examples(86)
    floats = stored.as_floats()
    expected = stored.images.astype(np.float64) / 255
    np.testing.assert_array_equal(floats.images, expected.astype(np.float32))
    assert floats.images.dtype == np.float32
    np.testing.assert_array_equal(floats.as_floats().images, floats.images)
    assert floats.labels is stored.labels
    assert floats.indices is stored.indices


def test_rounding_is_clipped_and_another_range_is_left() -> None:
    assert as_floats(np.array([1.000001, -1e-7])).tolist() == [1.0, 0.0]
    assert as_floats(np.array([2.0])).tolist() == [2.0]


def test_threat_model_keeps_number_and_text() -> None:
    threat = ThreatModel.parse("8/255")
    assert (threat.norm, threat.epsilon, threat.epsilon_text) == ("linf", 8 / 255, "8/255")
    with pytest.raises(InputError, match="did you mean 8/255"):
        ThreatModel.parse("8")
    with pytest.raises(InputError, match="`norm` must be one of"):
        ThreatModel.parse("8/255", "linfinity")


def test_neighbor_table_takes_the_nearest() -> None:
    table = NeighborTable(np.array([[1, 2], [0, 2]]), np.array([[0.5, 1.0], [0.5, 2.0]]), {})
    assert table.take(1).indices.tolist() == [[1], [0]]
    assert table.take(1).distances.tolist() == [[0.5], [0.5]]
    with pytest.raises(InputError, match="holds 2 neighbors per image, 3 were asked for"):
        table.take(3)


def test_neighbor_table_shapes_must_agree() -> None:
    with pytest.raises(InputError, match=r"same shape \(n, m\)"):
        NeighborTable(np.zeros((2, 2), np.int64), np.zeros((2, 3), np.float32), {})


def test_a_threat_model_is_taken_as_it_is_or_made_of_text() -> None:
    made = ThreatModel.of("8/255")
    assert (made.norm, made.epsilon, made.epsilon_text) == ("linf", 8 / 255, "8/255")
    assert ThreatModel.of(made) is made
    assert ThreatModel.of(8 / 255).epsilon == made.epsilon
    assert ThreatModel.of(np.float32(0.125)) == ThreatModel.parse(0.125)  # type: ignore[arg-type]
    for wrong in (None, ("0.5", "l2")):
        with pytest.raises(InputError, match=r"or a threat model: ThreatModel\.parse"):
            ThreatModel.of(wrong)  # type: ignore[arg-type]
    assert str(made) == "L-inf 8/255"
    assert str(ThreatModel.parse(0.5, "l2")) == "L2 0.5"


def test_a_flag_is_near_from_seven_tenths_of_its_threshold_up_to_it() -> None:
    def at(number: float) -> Flag:
        return Flag("name", number, 1.0, "measure", "meaning", "advice")

    assert [at(number).is_near for number in (0.69, 0.71, 1.0, 1.01)] == [False, True, True, False]
    # One image is two thirds of a threshold of one and a half.
    assert not Flag("name", 1 / 20, 1.5 / 20, "measure", "meaning", "advice").is_near
