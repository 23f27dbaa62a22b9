import json

import keras
import pytest
from click.testing import CliRunner

from cli.diagnose import command


@pytest.fixture
def run(tmp_path):
    """A run's folder with an untrained classifier of the digits."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [keras.Input((16, 16, 3)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    model.save(tmp_path / "model.keras")
    (tmp_path / "config.toml").write_text('dataset = "digits"\nnum_test = 30\n')
    return tmp_path


def test_the_verdict_comes_first_and_record_and_plot_are_kept(run) -> None:
    done = CliRunner().invoke(command, [str(run), "--num-examples", "12", "--epsilon", "2/255"])
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("No sign of gradient masking in 7 kinds of checks.")
    assert "Accuracy by steps: 1: " in done.stdout
    (path,) = (run / "diagnosis").glob("*.json")
    record = json.loads(path.read_text())
    assert record["num_examples"] == 12
    assert record["dataset"]["name"] == "digits"
    assert record["threat_model"]["epsilon_text"] == "2/255"
    assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
