"""What the REST and gRPC sides of the client share; imports no TensorFlow."""

import contextlib
import random
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Result = TypeVar("Result")

# NumPy's types by the names that metadata uses; strings are bytes objects.
DTYPES: dict[str, npt.DTypeLike] = {
    "DT_FLOAT": np.float32,
    "DT_DOUBLE": np.float64,
    "DT_HALF": np.float16,
    "DT_INT8": np.int8,
    "DT_INT16": np.int16,
    "DT_INT32": np.int32,
    "DT_INT64": np.int64,
    "DT_UINT8": np.uint8,
    "DT_UINT16": np.uint16,
    "DT_UINT32": np.uint32,
    "DT_UINT64": np.uint64,
    "DT_BOOL": np.bool_,
    "DT_STRING": object,
}


class ClientError(RuntimeError):
    """The server could not be reached, or answered with an error.

    Attributes:
        code: Canonical name such as `NOT_FOUND`, or the HTTP status as text; `UNREACHABLE`
            where no answer came, `UNREADABLE` where it is none of a model server.
    """

    def __init__(self, message: str, code: str) -> None:
        super().__init__(message)
        self.code = code


class TemporaryError(ClientError):
    """An error that another try may mend."""


@contextlib.contextmanager
def reading(address: str) -> Iterator[None]:
    """Around what reads an answer, since anything may listen at an address.

    Raises:
        ClientError: The answer has another form than a model server's.
    """
    try:
        yield
    except (
        ArithmeticError,
        AttributeError,
        LookupError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        message = f"{address} answers, but not as a model server does."
        raise ClientError(message, "UNREADABLE") from error


@dataclass(frozen=True)
class Target:
    """The model that a client asks.

    Attributes:
        model: Name of the model.
        version: A number; `None` for the newest.
        label: A label instead of a number.
    """

    model: str
    version: int | None = None
    label: str | None = None


@dataclass(frozen=True)
class SignatureInfo:
    """Types of a signature's inputs and outputs by name, as metadata calls them."""

    inputs: Mapping[str, str]
    outputs: Mapping[str, str]


class Connection(Protocol):
    """One way to reach a server."""

    def signatures(self) -> Mapping[str, SignatureInfo]:
        """What the model offers."""

    def predict(
        self, name: str, info: SignatureInfo, inputs: Mapping[str, Array]
    ) -> dict[str, Array]:
        """Outputs by name; strings are bytes."""

    def status(self) -> list[dict[str, Any]]:
        """States of the model's versions, newest first."""

    def close(self) -> None:
        """Frees the connection."""


@dataclass(frozen=True)
class Retries:
    """Tries again after temporary errors, ever later.

    Attributes:
        count: Further tries.
        seconds: Seconds before the first of them; each later one waits twice as long, and all wait
            a random part less, so that many clients do not come back at once.
    """

    count: int = 3
    seconds: float = 0.2

    def run(self, call: Callable[[], Result]) -> Result:
        """What the call returns.

        Raises:
            ClientError: It is not temporary, or the tries are used up.
        """
        for attempt in range(self.count):
            try:
                return call()
            except TemporaryError:
                time.sleep(self.seconds * 2**attempt * random.uniform(0.5, 1.0))
        return call()
