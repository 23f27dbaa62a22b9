"""All models of a server, and the thread that keeps them in step with their folders."""

import logging
import os
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from lsp_keras.serving.errors import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from lsp_keras.serving.models.served_model import (
    LoadPolicy,
    ServableHandle,
    ServedModel,
    VersionStatus,
    not_found_message,
)
from lsp_keras.serving.models.versions import ModelConfig, find_versions

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
        policy: How versions are loaded.
        allow_labels_for_unavailable: Whether labels are accepted on versions that are not
            available.
    """

    def __init__(
        self, policy: LoadPolicy | None = None, *, allow_labels_for_unavailable: bool = False
    ) -> None:
        self._policy = policy or LoadPolicy()
        self._allow_labels_for_unavailable = allow_labels_for_unavailable
        # Replaced as a whole, never changed, so that requests read it without a lock.
        self._models: Mapping[str, ServedModel] = {}
        # One thread loads at a time; requests never wait for it.
        self._loading = threading.Lock()
        self._stopping = threading.Event()
        self._poller: threading.Thread | None = None

    def configure(self, configs: Sequence[ModelConfig]) -> None:
        """Serves exactly these models; returns when they are loaded.

        After an error the models are served as before.

        Raises:
            InvalidArgumentError: Two models have one name, or a folder is missing.
            UnavailableError: A model has no version that loads.
            FailedPreconditionError: A label names a version that is not available.
        """
        _check_configs(configs)
        with self._loading:
            old = self._models
            models = {config.name: self._configured(config) for config in configs}
            previous = {name: models[name].config for name in old.keys() & models.keys()}
            try:
                for config in configs:
                    self._load(models[config.name], config)
            except Exception:
                self._restore(models, previous)
                raise
            self._models = models
            for name, model in old.items():
                if models.get(name) is not model:
                    model.stop()

    def _configured(self, config: ModelConfig) -> ServedModel:
        """The model that is served already, if its folder is the same, or a new one."""
        existing = self._models.get(config.name)
        if existing is not None and existing.config.base_path == config.base_path:
            return existing
        return ServedModel(config, self._policy)

    def _load(self, model: ServedModel, config: ModelConfig) -> None:
        if not config.policy.choose(_find_versions(config)):
            raise _unavailable(config, ": its folder has no version to serve")
        # Labels move once the versions they name are there.
        model.config = replace(config, labels=model.config.labels)
        model.reconcile()
        if not model.available():
            errors = [version.error for version in model.status() if version.error]
            raise _unavailable(config, f": {errors[0].message}" if errors else "")
        self._check_labels(config, model.available())
        model.config = config

    def _restore(
        self, models: Mapping[str, ServedModel], previous: Mapping[str, ModelConfig]
    ) -> None:
        for name, model in models.items():
            if self._models.get(name) is model:
                model.config = previous[name]
                model.reconcile()
            else:
                model.stop()

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

    def handle(self, spec: ModelSpec) -> ServableHandle:
        """The version that a request means, loaded until the handle is released.

        Raises:
            NotFoundError: No such model or version.
            InvalidArgumentError: No such label, or no name.
        """
        if not spec.name:
            raise InvalidArgumentError("ModelSpec has no name specified.")
        model = self._models.get(spec.name)
        if model is None:
            if spec.label is not None:
                raise _unknown_label(spec.label)
            raise NotFoundError(not_found_message(spec.name, spec.version))
        return model.handle(_number(model, spec))

    def status(self, spec: ModelSpec) -> list[VersionStatus]:
        """States of one version, or of all of a model, newest first.

        A label is ignored, as TensorFlow Serving does.

        Raises:
            NotFoundError: No such model or version.
        """
        model = self._models.get(spec.name)
        versions = model.status() if model else []
        if spec.version is not None:
            versions = [version for version in versions if version.number == spec.version]
            if not versions:
                raise NotFoundError(f"Could not find version {spec.version} of model {spec.name}")
        if not versions:
            raise NotFoundError(f"Could not find any versions of model {spec.name}")
        return versions

    def models(self) -> dict[str, list[int]]:
        """Available versions of each model, newest first."""
        return {name: model.available() for name, model in self._models.items()}

    def _check_labels(self, config: ModelConfig, available: Sequence[int]) -> None:
        if self._allow_labels_for_unavailable:
            return
        for label, number in config.labels.items():
            if number not in available:
                raise FailedPreconditionError(
                    f"Request to assign label {label} to version {number} of model "
                    f"{config.name}, which is not currently available for inference"
                )


def _number(model: ServedModel, spec: ModelSpec) -> int | None:
    if spec.label is None:
        return spec.version
    try:
        return model.config.labels[spec.label]
    except KeyError:
        raise _unknown_label(spec.label) from None


def _unknown_label(label: str) -> InvalidArgumentError:
    return InvalidArgumentError(f"Unrecognized servable version label: {label}")


def _check_configs(configs: Sequence[ModelConfig]) -> None:
    names = Counter(config.name for config in configs)
    for config in configs:
        if not config.name:
            raise InvalidArgumentError("A model in the configuration has no name.")
        if names[config.name] > 1:
            raise InvalidArgumentError(f"Model {config.name} is configured twice.")
        _find_versions(config)


def _find_versions(config: ModelConfig) -> dict[int, Path]:
    try:
        return find_versions(config.base_path)
    # No folder has a name with a zero byte in it.
    except (OSError, ValueError) as error:
        # `Path.is_file` raises for a name that is too long.
        is_file = os.path.isfile(config.base_path)  # noqa: PTH113
        hint = ": it is a file, not the folder of a SavedModel" * is_file
        raise InvalidArgumentError(
            f"Could not find base path {config.base_path} for servable {config.name}{hint}"
        ) from error


def _unavailable(config: ModelConfig, reason: str) -> UnavailableError:
    return UnavailableError(f"Model {config.name} did not become available{reason}")
