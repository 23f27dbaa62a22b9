"""A run's settings and epochs in MLflow: `lsp-keras fit --logger examples.mlflow_logger:MLflow`.

Where they go is MLflow's own choice: `MLFLOW_TRACKING_URI`, such as `file:mlruns` for a folder
beside you, and `MLFLOW_EXPERIMENT_NAME`. A run that was killed and goes on writes to the same run
of MLflow, whose number is kept in the run's folder.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import keras
import mlflow

_NUMBER = "mlflow_run_id.txt"
# MLflow takes no longer values of parameters.
_LONGEST = 500


class MLflow(keras.callbacks.Callback):
    """Logs the settings once and the values of `history.csv` after each epoch.

    Args:
        folder: Folder of the run.
        settings: Settings of the run by name.
    """

    def __init__(self, folder: Path, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self._folder = folder
        self._settings = settings

    def on_train_begin(self, logs: Any = None) -> None:
        """Starts a run of MLflow, or goes on with the one that was started."""
        number = self._folder / _NUMBER
        if number.is_file():
            mlflow.start_run(run_id=number.read_text(encoding="utf-8"))
            return
        run = mlflow.start_run(run_name=self._folder.name)
        number.write_text(run.info.run_id, encoding="utf-8")
        mlflow.log_params({name: str(value)[:_LONGEST] for name, value in self._settings.items()})

    def on_epoch_end(self, epoch: int, logs: Mapping[str, float] | None = None) -> None:
        """Logs the epoch's values; epochs count from 1."""
        values = {name: float(value) for name, value in (logs or {}).items()}
        mlflow.log_metrics(values, step=epoch + 1)

    def on_train_end(self, logs: Any = None) -> None:
        """Ends the run of MLflow."""
        mlflow.end_run()
