"""Client for this server and for TensorFlow Serving, over REST or gRPC."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import numpy as np

from lsp_keras.serving.client.base import (
    DTYPES,
    Array,
    ClientError,
    Connection,
    Retries,
    SignatureInfo,
    Target,
)
from lsp_keras.serving.client.certificates import read_certificates
from lsp_keras.serving.client.rest import RestConnection, served_models
from lsp_keras.validation import InputError, check_choice

__all__ = ["Client", "ClientError", "Prediction", "Retries"]

Image = Path | str | bytes | Array
_LARGEST_IMAGE = 2**27
_IMAGE_OUTPUTS = ("class_names", "classes", "probabilities")
_FORM = "http://localhost:8501 or grpc://localhost:8500"


@dataclass(frozen=True)
class Prediction:
    """A classifier's answer for one image.

    Attributes:
        name: Name of the most probable class.
        label: Number of the most probable class.
        probability: Probability of that class.
        probabilities: Probabilities of all classes, in label order.
    """

    name: str
    label: int
    probability: float
    probabilities: tuple[float, ...]


class Client:
    """Asks a server for predictions.

    Args:
        url: Address of the server: `http://HOST:PORT`, `https://...`, `grpc://HOST:PORT` or, with
            TLS, `grpcs://...`; an HTTP URL may name the model:
            `http://localhost:8501/v1/models/svhn`.
        model: Name of the model, unless the URL says it or the server, asked over HTTP, has only
            one and lists it, as this package's does.
        version: Version of the model; default the newest.
        label: Label of a version, instead of its number.
        timeout: Seconds for each try.
        retries: Number of tries after temporary errors, and the waits between them.
        token: Bearer token that is sent.
        certificates: PEM file with the authorities to trust instead of the usual ones.

    Raises:
        InputError: The URL has another form, no model is named and there is not just one, or the
            file of certificates holds none.
        ClientError: No model is named and the server does not say which it has.

    Example:
        >>> client = Client("http://localhost:8501", model="svhn")
        >>> client.predict_images(["house_number.png"])[0].name  # doctest: +SKIP
        '3'
    """

    def __init__(
        self,
        url: str,
        *,
        model: str | None = None,
        version: int | None = None,
        label: str | None = None,
        timeout: float = 30.0,
        retries: Retries | None = None,
        token: str | None = None,
        certificates: Path | str | None = None,
    ) -> None:
        if version is not None and label is not None:
            raise InputError("Give a version or a label, not both.")
        authorities = None if certificates is None else read_certificates(certificates)
        self._retries = retries or Retries()
        base, named = _parse(url)
        name = model or named or self._only_model(base, timeout, token, certificates)
        target = Target(name, version, label)
        scheme, _, address = base.partition("://")
        self._connection: Connection
        if scheme.startswith("http"):
            file = None if certificates is None else str(certificates)
            self._connection = RestConnection(base, target, timeout, token, file)
        else:
            # Imported here because it brings TensorFlow, which REST does without.
            from lsp_keras.serving.client.grpc import GrpcConnection

            self._connection = GrpcConnection(
                address, target, timeout, token, secure=scheme == "grpcs", certificates=authorities
            )
        self._signatures: Mapping[str, SignatureInfo] | None = None

    def _only_model(
        self, base: str, timeout: float, token: str | None, certificates: Path | str | None
    ) -> str:
        """The server's model, where it has one and can be asked."""
        name_it = f"Name the model, or give its whole URL, {base}/v1/models/NAME."
        if not base.startswith("http"):
            raise InputError(name_it)
        file = None if certificates is None else str(certificates)
        try:
            models = self._retries.run(lambda: served_models(base, timeout, token, file))
        except ClientError as error:
            if error.code == "400":
                # TensorFlow Serving does not list its models.
                raise InputError(name_it) from error
            raise
        if len(models) != 1:
            served = ", ".join(models) or "none"
            raise InputError(f"{name_it} Served are: {served}.")
        return models[0]

    def signatures(self) -> Mapping[str, SignatureInfo]:
        """What the model offers; asked for once.

        Raises:
            ClientError: The server did not answer, or with an error.
        """
        if self._signatures is None:
            self._signatures = self._retries.run(self._connection.signatures)
        return self._signatures

    def predict(self, inputs: Any, *, signature: str = "serving_default") -> dict[str, Array]:
        """Outputs by name; strings are bytes.

        Args:
            inputs: Arrays (or what NumPy makes arrays of) by name, or a single one for a
                signature with one input. They are converted to the signature's types.
            signature: Signature to call.

        Raises:
            InputError: There is no such signature or input.
            ClientError: The server did not answer, or with an error.
        """
        check_choice("signature", signature, sorted(self.signatures()))
        info = self.signatures()[signature]
        arrays = _arrays(inputs, info)
        return self._retries.run(lambda: self._connection.predict(signature, info, arrays))

    def predict_images(self, images: Sequence[Image]) -> list[Prediction]:
        """One prediction for each image, by a model that `lsp-keras export` wrote.

        Args:
            images: All paths of image files or their contents, which the server decodes and
                resizes; or all arrays of the model's size, uint8 or float in [0, 1].

        Raises:
            InputError: A file is missing, the images are of different kinds, or the model was not
                written by `lsp-keras export`.
            ClientError: The server did not answer, or with an error.
        """
        if not images:
            return []
        signature, batch = _batch(images)
        outputs = self.predict(batch, signature=signature)
        missing = [name for name in _IMAGE_OUTPUTS if name not in outputs]
        if missing:
            raise InputError(
                f"The model's signature {signature} has no {' and no '.join(missing)}, which those "
                "have that `lsp-keras export` writes. Ask it with `predict`."
            )
        rows = zip(*(outputs[name] for name in _IMAGE_OUTPUTS), strict=True)
        return [_prediction(name, label, probabilities) for name, label, probabilities in rows]

    def status(self) -> list[dict[str, Any]]:
        """States of the model's versions, newest first.

        Raises:
            ClientError: The server did not answer, or with an error.
        """
        return self._retries.run(self._connection.status)

    def close(self) -> None:
        """Frees the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


def _parse(url: str) -> tuple[str, str | None]:
    """Scheme with address, and the model if the URL names it."""
    try:
        parts = urlsplit(url)
    except ValueError as error:
        raise InputError(f"`url` must be like {_FORM}. Received: {url!r}.") from error
    if parts.scheme not in ("http", "https", "grpc", "grpcs") or not parts.netloc:
        raise InputError(f"`url` must be like {_FORM}. Received: {url!r}.")
    base = f"{parts.scheme}://{parts.netloc}"
    path = parts.path.rstrip("/").removesuffix(":predict")
    named = unquote(path.removeprefix("/v1/models/")) if path else None
    if named is not None and (not path.startswith("/v1/models/") or "/" in named):
        raise InputError(f"`url` must be like {_FORM} or {base}/v1/models/NAME. Received: {url!r}.")
    return base, named


def _arrays(inputs: Any, info: SignatureInfo) -> dict[str, Array]:
    if not isinstance(inputs, Mapping):
        if len(info.inputs) != 1:
            raise InputError(
                f"The signature takes several inputs by name: {', '.join(info.inputs)}."
            )
        inputs = {next(iter(info.inputs)): inputs}
    for name in inputs:
        check_choice("input", name, sorted(info.inputs))
        if info.inputs[name] not in DTYPES:
            raise InputError(f"The client cannot send the input {name}, a {info.inputs[name]}.")
    return {name: np.asarray(value, DTYPES[info.inputs[name]]) for name, value in inputs.items()}


def _batch(images: Sequence[Image]) -> tuple[str, Any]:
    """Signature for the kind of images, and its input."""
    if all(isinstance(image, Path | str | bytes) for image in images):
        files = np.empty(len(images), dtype=object)
        files[:] = [_contents(image) for image in images]
        return "serving_bytes", files
    if not all(isinstance(image, np.ndarray) for image in images):
        raise InputError("Give images as files or as arrays, not mixed.")
    batch = np.stack([np.asarray(image) for image in images])
    return ("serving_uint8" if batch.dtype == np.uint8 else "serving_default"), batch


def _contents(image: Any) -> bytes:
    if isinstance(image, bytes):
        return image
    path = Path(image)
    try:
        # A pipe would be waited for, and a device never ends.
        if path.exists() and not path.is_file():
            raise InputError(f"Cannot read the image {image}: it is no file.")
        if path.is_file() and path.stat().st_size > _LARGEST_IMAGE:
            raise InputError(f"Cannot read the image {image}: it is over {_LARGEST_IMAGE:,} bytes.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"Cannot read the image {image}: {error.strerror}.") from error


def _prediction(name: bytes, label: Any, probabilities: Array) -> Prediction:
    # The shortest decimals of float32, not the long ones of the same float64.
    values = tuple(float(str(value)) for value in probabilities)
    return Prediction(name.decode(), int(label), values[int(label)], values)
