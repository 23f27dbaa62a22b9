"""All models of a server, and the thread that keeps them in step with their folders."""

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from serving.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    ServingError,
    UnavailableError,
)
from serving.model import ServedModel, VersionStatus, not_found_message
from serving.servable import Servable
from serving.versions import ModelConfig

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelSpec:
    """Which model a request means: its newest version, one by number or one by label."""

    name: str
    version: int | None = None
    label: str | None = None


class ModelManager:
    """Finds the servable for a request; loads and unloads versions.

    Args:
        load: Makes a servable of a version folder.
        max_load_retries: How often a version that will not load is tried again.
        allow_labels_for_unavailable: Accept labels on versions that are not available.
    """

    def __init__(
        self,
        load: Callable[[Path], Servable] = Servable,
        *,
        max_load_retries: int = 5,
        allow_labels_for_unavailable: bool = False,
    ) -> None:
        self._load = load
        self._max_load_retries = max_load_retries
        self._allow_labels_for_unavailable = allow_labels_for_unavailable
        self._models: Mapping[str, ServedModel] = {}
        # One thread loads at a time; requests never wait for it.
        self._loading = threading.Lock()
        self._stopping = threading.Event()
        self._poller: threading.Thread | None = None

    def configure(self, configs: Sequence[ModelConfig]) -> None:
        """Serves exactly these models; returns when the new ones are loaded.

        Raises:
            InvalidArgumentError: Two models have one name, or a folder is missing.
            UnavailableError: A model has no version that loads.
            FailedPreconditionError: A label names a version that is not available.
        """
        _check_configs(configs)
        with self._loading:
            models = {config.name: self._configured(config) for config in configs}
            for model in models.values():
                model.reconcile()
                _check_available(model)
                self._check_labels(model)
            old, self._models = self._models, models
            for name in old.keys() - models.keys():
                old[name].stop()

    def _configured(self, config: ModelConfig) -> ServedModel:
        """The model of that name, with its new configuration."""
        existing = self._models.get(config.name)
        if existing is None or existing.config.base_path != config.base_path:
            return ServedModel(config, self._load, self._max_load_retries)
        existing.config = config
        return existing

    def start_polling(self, seconds: float) -> None:
        """Looks for new and vanished versions every so often, in a thread."""
        self._poller = threading.Thread(
            target=self._poll, args=(seconds,), name="version-poller", daemon=True
        )
        self._poller.start()

    def _poll(self, seconds: float) -> None:
        while not self._stopping.wait(seconds):
            with self._loading:
                for model in self._models.values():
                    try:
                        model.reconcile()
                    except Exception:
                        logger.exception("model %s could not be polled", model.config.name)

    def stop(self) -> None:
        """Stops polling and unloads all models after the requests that run."""
        self._stopping.set()
        if self._poller:
            self._poller.join()
        with self._loading:
            for model in self._models.values():
                model.stop()

    @contextlib.contextmanager
    def use(self, spec: ModelSpec) -> Iterator[tuple[int, Servable]]:
        """Version number and servable of a request, loaded until the block ends.

        Raises:
            NotFoundError: No such model or version.
            InvalidArgumentError: No such label.
        """
        model = self._models.get(spec.name)
        if model is None:
            raise NotFoundError(not_found_message(spec.name, spec.version))
        with model.use(self._number(model, spec)) as used:
            yield used

    def _number(self, model: ServedModel, spec: ModelSpec) -> int | None:
        if spec.label is None:
            return spec.version
        try:
            return model.config.labels[spec.label]
        except KeyError:
            raise InvalidArgumentError(
                f"Unrecognized servable version label: {spec.label}"
            ) from None

    def status(self, spec: ModelSpec) -> list[VersionStatus]:
        """States of one version, or of all of a model, newest first.

        Raises:
            NotFoundError: No such model or version.
        """
        model = self._models.get(spec.name)
        versions = model.status() if model else []
        number = self._number(model, spec) if model else spec.version
        if number is not None:
            versions = [version for version in versions if version.number == number]
            if not versions:
                raise NotFoundError(f"Could not find version {number} of model {spec.name}")
        if not versions:
            raise NotFoundError(f"Could not find any versions of model {spec.name}")
        return versions

    def models(self) -> dict[str, list[int]]:
        """Available versions of each model, newest first."""
        return {name: model.available() for name, model in self._models.items()}

    def _check_labels(self, model: ServedModel) -> None:
        if self._allow_labels_for_unavailable:
            return
        available = model.available()
        for label, number in model.config.labels.items():
            if number not in available:
                raise FailedPreconditionError(
                    f"Request to assign label {label} to version {number} of model "
                    f"{model.config.name}, which is not currently available for inference"
                )


def _check_configs(configs: Sequence[ModelConfig]) -> None:
    names = [config.name for config in configs]
    for config in configs:
        if names.count(config.name) > 1:
            raise InvalidArgumentError(f"Model {config.name} is configured twice.")
        if not config.base_path.is_dir():
            raise InvalidArgumentError(
                f"Could not find base path {config.base_path} for servable {config.name}"
            )


def _check_available(model: ServedModel) -> None:
    if model.available():
        return
    errors: list[ServingError] = [v.error for v in model.status() if v.error]
    reason = f": {errors[0].message}" if errors else ": its folder has no version"
    raise UnavailableError(f"Model {model.config.name} did not become available{reason}")
