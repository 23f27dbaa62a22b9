"""Client for this server and for TensorFlow Serving."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import orjson
import requests

from lsp_keras.validation import InputError


class ClientError(RuntimeError):
    """The server could not be reached, or answered with an error.

    Attributes:
        status: HTTP status, or `None` where no answer came.
    """

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class Client:
    """Asks a server for predictions over REST.

    Args:
        url: Of the server, `http://localhost:8501`, or of a model,
            `http://localhost:8501/v1/models/svhn`.
        model: Its name, unless the URL says it.
        timeout: Seconds for each request.

    Raises:
        InputError: The URL has another form, or no model is named.

    Example:
        >>> client = Client("http://localhost:8501", model="svhn")
        >>> client.predict_files(["house_number.png"])  # doctest: +SKIP
        [{'class_names': '3', 'classes': 3, 'logits': [...], 'probabilities': [...]}]
    """

    def __init__(self, url: str, *, model: str | None = None, timeout: float = 30.0) -> None:
        self._model_url = _model_url(url, model)
        self._timeout = timeout
        self._session = requests.Session()

    def predict(self, instances: Sequence[Any], *, signature: str = "serving_default") -> list[Any]:
        """One prediction for each instance.

        Args:
            instances: JSON values; `bytes` are sent as base64.
            signature: To call.

        Raises:
            ClientError: The server did not answer, or with an error.
        """
        rows = [_json_value(instance) for instance in instances]
        body = orjson.dumps(
            {"signature_name": signature, "instances": rows},
            option=orjson.OPT_SERIALIZE_NUMPY,
        )
        return list(self._send("POST", ":predict", body)["predictions"])

    def predict_files(self, paths: Sequence[Path | str]) -> list[dict[str, Any]]:
        """One prediction for each image file, decoded and resized by the server.

        Raises:
            InputError: A file is missing.
            ClientError: The server did not answer, or with an error.
        """
        return self.predict([_read(Path(path)) for path in paths], signature="serving_bytes")

    def metadata(self) -> dict[str, Any]:
        """Signatures of the model."""
        return self._send("GET", "/metadata")

    def status(self) -> list[dict[str, Any]]:
        """States of the model's versions, newest first."""
        return list(self._send("GET", "")["model_version_status"])

    def _send(self, method: str, path: str, body: bytes | None = None) -> dict[str, Any]:
        url = self._model_url + path
        try:
            answer = self._session.request(method, url, data=body, timeout=self._timeout)
        except requests.RequestException as error:
            raise ClientError(f"{url} does not answer: {_reason(error)}") from error
        if not answer.ok:
            raise ClientError(_error_message(answer), answer.status_code)
        document: dict[str, Any] = answer.json()
        return document


def _model_url(url: str, model: str | None) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise InputError(f"`url` must be like http://localhost:8501. Received: {url!r}.")
    path = parts.path.rstrip("/").removesuffix(":predict")
    if "/v1/models/" in path and model is None:
        return f"{parts.scheme}://{parts.netloc}{path}"
    if model is None:
        raise InputError(
            "Name the model, or give its whole URL. For example: "
            f"{parts.scheme}://{parts.netloc}/v1/models/NAME."
        )
    return f"{parts.scheme}://{parts.netloc}/v1/models/{quote(model, safe='')}"


def _json_value(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"b64": base64.b64encode(value).decode()}
    if isinstance(value, Mapping):
        return {key: _json_value(item) for key, item in value.items()}
    return value


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read the image {path}: {error.strerror}.") from error


def _reason(error: requests.RequestException) -> str:
    if isinstance(error, requests.Timeout):
        return "it took too long."
    return "is the server running? Start it with: lsp-keras serve MODEL_FOLDER"


def _error_message(answer: requests.Response) -> str:
    try:
        return str(answer.json()["error"])
    except (ValueError, KeyError, TypeError):
        return f"HTTP status {answer.status_code}: {answer.text[:200]}"
