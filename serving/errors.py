"""Errors that know their gRPC code and HTTP status; no handler maps exceptions by itself."""

from typing import ClassVar

# Bytes of a message over gRPC, which clients would not take if it were much longer.
MAX_MESSAGE_LENGTH = 1024
# Room for that many letters of a value, and for what is wrong with it.
MAX_REST_MESSAGE_LENGTH = 8 * MAX_MESSAGE_LENGTH
TRUNCATED = "...TRUNCATED"


class ServingError(Exception):
    """A request that cannot be answered.

    Attributes:
        code: Canonical name, as gRPC and TensorFlow write it.
        number: Canonical number of the status.
        http_status: What TensorFlow Serving answers over REST for it.
    """

    code: ClassVar[str] = "INTERNAL"
    number: ClassVar[int] = 13
    http_status: ClassVar[int] = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message

    def __str__(self) -> str:
        return f"{self.code}: {self.message}"


class InternalError(ServingError):
    """The server's fault."""


class CancelledError(ServingError):
    """The caller went away."""

    code, number, http_status = "CANCELLED", 1, 499


class UnknownError(ServingError):
    """TensorFlow could not say what went wrong."""

    code, number = "UNKNOWN", 2


class InvalidArgumentError(ServingError):
    """The request itself is wrong."""

    code, number, http_status = "INVALID_ARGUMENT", 3, 400


class DeadlineExceededError(ServingError):
    """It took longer than the caller, or the server's limit, allows."""

    code, number, http_status = "DEADLINE_EXCEEDED", 4, 504


class NotFoundError(ServingError):
    """No such model or version."""

    code, number, http_status = "NOT_FOUND", 5, 404


class AlreadyExistsError(ServingError):
    """Raised by TensorFlow only."""

    code, number, http_status = "ALREADY_EXISTS", 6, 409


class PermissionDeniedError(ServingError):
    """Raised by TensorFlow only."""

    code, number, http_status = "PERMISSION_DENIED", 7, 403


class ResourceExhaustedError(ServingError):
    """Out of memory, or a full queue."""

    code, number, http_status = "RESOURCE_EXHAUSTED", 8, 429


class RequestTooLargeError(ResourceExhaustedError):
    """The body is over the server's limit."""

    http_status = 413


class OverloadedError(ResourceExhaustedError):
    """Too many requests wait already; trying again later may help."""

    http_status = 503


class FailedPreconditionError(ServingError):
    """Right in form, but not for this model."""

    code, number, http_status = "FAILED_PRECONDITION", 9, 400


class AbortedError(ServingError):
    """Raised by TensorFlow only."""

    code, number, http_status = "ABORTED", 10, 409


class OutOfRangeError(ServingError):
    """Raised by TensorFlow only."""

    code, number, http_status = "OUT_OF_RANGE", 11, 400


class UnimplementedError(ServingError):
    """Known, but not supported."""

    code, number, http_status = "UNIMPLEMENTED", 12, 501


class UnavailableError(ServingError):
    """Overloaded or stopping; trying again later may help."""

    code, number, http_status = "UNAVAILABLE", 14, 503


class DataLossError(ServingError):
    """Raised by TensorFlow only."""

    code, number = "DATA_LOSS", 15


class UnauthenticatedError(ServingError):
    """The bearer token is missing or wrong."""

    code, number, http_status = "UNAUTHENTICATED", 16, 401


_BY_NUMBER: dict[int, type[ServingError]] = {
    error.number: error
    for error in [
        CancelledError,
        UnknownError,
        InvalidArgumentError,
        DeadlineExceededError,
        NotFoundError,
        AlreadyExistsError,
        PermissionDeniedError,
        ResourceExhaustedError,
        FailedPreconditionError,
        AbortedError,
        OutOfRangeError,
        UnimplementedError,
        InternalError,
        UnavailableError,
        DataLossError,
        UnauthenticatedError,
    ]
}


def from_canonical(number: int, message: str) -> ServingError:
    """The error with that canonical code, as TensorFlow and gRPC number them."""
    return _BY_NUMBER.get(number, UnknownError)(message)


def truncate(message: str, length: int = MAX_MESSAGE_LENGTH) -> str:
    """The message, cut as TensorFlow Serving cuts it, after so many bytes of UTF-8.

    Example:
        >>> truncate("Größe", 4)
        'Grö...TRUNCATED'
    """
    # No more of a long message is encoded than is left of it.
    encoded = message[: length + 1].encode(errors="replace")
    if len(encoded) <= length:
        return encoded.decode()
    return encoded[:length].decode(errors="ignore") + TRUNCATED
