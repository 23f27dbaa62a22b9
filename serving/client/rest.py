"""The client's REST side."""

import base64
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson
import requests

from lsp_keras.serving.client.base import (
    DTYPES,
    Array,
    ClientError,
    SignatureInfo,
    Target,
    TemporaryError,
    reading,
)

_TEMPORARY_STATUSES = {429, 502, 503}


def served_models(
    url: str, timeout: float, token: str | None, certificates: str | None
) -> list[str]:
    """Names of a server's models; TensorFlow Serving does not list them.

    Args:
        url: URL of the server, without a path.
        timeout: Seconds for the request.
        token: Bearer token that is sent, if any.
        certificates: File with the authorities to trust instead of the usual ones.

    Raises:
        ClientError: The server did not answer, or with an error.
    """
    with _session(token, certificates) as session:
        document = _send(session, "GET", f"{url}/v1/models", timeout)
    with reading(url):
        return [str(model["name"]) for model in document["models"]]


def _session(token: str | None, certificates: str | None) -> requests.Session:
    session = requests.Session()
    if token is not None:
        session.headers["Authorization"] = f"Bearer {token}"
    if certificates is not None:
        session.verify = certificates
    return session


def _send(
    session: requests.Session, method: str, url: str, timeout: float, body: bytes | None = None
) -> dict[str, Any]:
    try:
        # Named here too: $REQUESTS_CA_BUNDLE would go before the session's own.
        answer = session.request(method, url, data=body, timeout=timeout, verify=session.verify)
    except requests.Timeout as error:
        raise ClientError(f"{url} took too long.", "DEADLINE_EXCEEDED") from error
    except requests.RequestException as error:
        raise TemporaryError(f"{url} does not answer.", "UNREACHABLE") from error
    if not answer.ok:
        kind = TemporaryError if answer.status_code in _TEMPORARY_STATUSES else ClientError
        raise kind(_error_message(answer), str(answer.status_code))
    with reading(url):
        # The standard parser knows NaN and Infinity, which servers write.
        document: dict[str, Any] = json.loads(answer.content)
        return document


class RestConnection:
    """A server's REST API.

    Args:
        url: URL of the server, without a path.
        target: The model.
        timeout: Seconds for each request.
        token: Bearer token that is sent, if any.
        certificates: File with the authorities to trust instead of the usual ones.
    """

    def __init__(
        self, url: str, target: Target, timeout: float, token: str | None, certificates: str | None
    ) -> None:
        self._url = f"{url}/v1/models/{quote(target.model, safe='')}"
        if target.version is not None:
            self._url += f"/versions/{target.version}"
        if target.label is not None:
            self._url += f"/labels/{quote(target.label, safe='')}"
        self._timeout = timeout
        self._session = _session(token, certificates)

    def signatures(self) -> dict[str, SignatureInfo]:
        """What the model offers."""
        document = self._send("GET", "/metadata")
        with reading(self._url):
            signatures = document["metadata"]["signature_def"]["signature_def"]
            return {
                name: SignatureInfo(_types(proto["inputs"]), _types(proto["outputs"]))
                for name, proto in signatures.items()
            }

    def predict(
        self, name: str, info: SignatureInfo, inputs: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Outputs by name, asked for in the column format."""
        body = {
            "signature_name": name,
            "inputs": {key: _to_json(value) for key, value in inputs.items()},
        }
        answer = self._send(
            "POST", ":predict", orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        )
        with reading(self._url):
            outputs = answer["outputs"]
            if len(info.outputs) == 1:
                outputs = {next(iter(info.outputs)): outputs}
            return {key: _from_json(value, info.outputs[key]) for key, value in outputs.items()}

    def status(self) -> list[dict[str, Any]]:
        """States of the model's versions, newest first."""
        document = self._send("GET", "")
        with reading(self._url):
            return [dict(version) for version in document["model_version_status"]]

    def close(self) -> None:
        """Frees the connection."""
        self._session.close()

    def _send(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        return _send(self._session, method, self._url + path, self._timeout, body)


def _types(infos: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    return {name: info["dtype"] for name, info in infos.items()}


def _to_json(array: Array) -> Any:
    if array.dtype == object:
        return _strings(array.tolist())
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        return orjson.Fragment(json.dumps(array.tolist()))
    return np.ascontiguousarray(array) if array.ndim else array.item()


def _strings(value: Any) -> Any:
    if isinstance(value, list):
        return [_strings(item) for item in value]
    raw = value.encode() if isinstance(value, str) else value
    return {"b64": base64.b64encode(raw).decode()}


def _from_json(value: Any, dtype: str) -> Array:
    if dtype != "DT_STRING":
        return np.asarray(value, DTYPES[dtype])
    decoded = _bytes(value)
    return np.array(decoded, dtype=object)


def _bytes(value: Any) -> Any:
    if isinstance(value, list):
        return [_bytes(item) for item in value]
    return base64.b64decode(value["b64"]) if isinstance(value, dict) else value.encode()


def _error_message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {answer.status_code}: {answer.text[:200]}"
