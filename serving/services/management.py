"""Status, metadata and configuration of the models."""

import asyncio
from collections.abc import Sequence
from typing import Any

from tensorflow_serving.apis import get_model_metadata_pb2, get_model_status_pb2

from lsp_keras.serving.errors import InvalidArgumentError, truncate
from lsp_keras.serving.models.config_files import model_configs
from lsp_keras.serving.models.manager import ModelManager, ModelSpec
from lsp_keras.serving.models.served_model import VersionStatus


class ManagementService:
    """What clients may ask about a manager's models, and how they change them."""

    def __init__(self, manager: ModelManager) -> None:
        self._manager = manager

    def models(self) -> dict[str, list[str]]:
        """Names of the models, and their available versions as texts, newest first."""
        models = self._manager.models()
        return {name: [str(number) for number in models[name]] for name in sorted(models)}

    def status(self, spec: ModelSpec) -> Any:
        """`GetModelStatusResponse`: states of a model's versions."""
        return _status_response(self._manager.status(spec))

    def metadata(self, spec: ModelSpec, fields: Sequence[str]) -> Any:
        """`GetModelMetadataResponse` with a model's signatures.

        Raises:
            InvalidArgumentError: Another field than `signature_def` is asked for, or none.
        """
        if not fields:
            raise InvalidArgumentError(
                "GetModelMetadataRequest must specify at least one metadata_field"
            )
        for field in fields:
            if field != "signature_def":
                raise InvalidArgumentError(f"Metadata field {field} is not supported")
        signatures = get_model_metadata_pb2.SignatureDefMap()
        response = get_model_metadata_pb2.GetModelMetadataResponse()
        with self._manager.handle(spec) as handle:
            for name, proto in handle.servable.signature_protos.items():
                signatures.signature_def[name].CopyFrom(proto)
        response.model_spec.name = spec.name
        response.model_spec.version.value = handle.number
        response.metadata["signature_def"].Pack(signatures)
        return response

    async def reload(self, config: Any) -> None:
        """Serves the models of a `ModelServerConfig`, and no others, once they are loaded."""
        await asyncio.to_thread(self._manager.configure, model_configs(config))


def _status_response(versions: Sequence[VersionStatus]) -> Any:
    response = get_model_status_pb2.GetModelStatusResponse()
    for version in versions:
        entry = response.model_version_status.add(version=version.number)
        entry.state = version.state.value
        entry.status.error_code = version.error.number if version.error else 0
        entry.status.error_message = truncate(version.error.message) if version.error else ""
    return response
