import numpy as np
import pytest

from lsp_keras.classifiers import load_classifier
from lsp_keras.validation import InputError


@pytest.fixture
def run(contrast_model, tmp_path):
    (tmp_path / "config.toml").write_text('dataset = "digits"\n')
    contrast_model.save(tmp_path / "model.keras")
    return tmp_path


def test_a_run_gives_its_best_model(run, contrast_model) -> None:
    found = load_classifier(run)
    assert (found.path, found.run) == (run / "model.keras", run)
    np.testing.assert_array_equal(found.model.get_weights()[0], contrast_model.get_weights()[0])


def test_a_file_in_a_run_knows_its_run_and_one_outside_has_none(run, contrast_model) -> None:
    assert load_classifier(run / "model.keras").run == run
    contrast_model.save(run / "elsewhere.keras")
    (run / "config.toml").unlink()
    assert load_classifier(run / "elsewhere.keras").run is None


def test_what_is_missing_or_broken_is_said(run) -> None:
    with pytest.raises(InputError, match=r"a run without last\.keras"):
        load_classifier(run, weights="last")
    with pytest.raises(InputError, match=r"a run without ema\.keras"):
        load_classifier(run, weights="ema")
    with pytest.raises(InputError, match="is not there"):
        load_classifier(run / "absent.keras")
    with pytest.raises(InputError, match=r"must end in \.keras, \.h5"):
        load_classifier(run / "config.toml")
    (run / "broken.keras").write_bytes(b"not a zip file")
    with pytest.raises(InputError, match="could not be read as a Keras model"):
        load_classifier(run / "broken.keras")
