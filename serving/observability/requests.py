"""Counts and logs every request."""

import contextlib
import json
import logging
import time
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from typing import Any

from lsp_keras.serving.errors import ServingError, truncate
from lsp_keras.serving.observability.metrics import Metrics

logger = logging.getLogger("lsp_keras.serving.requests")


@dataclass
class Observation:
    """What is known of a request while it runs; handlers fill it in."""

    entrypoint: str
    api: str
    model: str = ""
    status: str = "OK"
    request_bytes: int = 0


class Observer:
    """Writes each request into the metrics and, if wanted, into the log.

    Args:
        metrics: Metrics to count in.
        models: Names of the models that are served.
        log_requests: Whether to log each request.
    """

    def __init__(
        self, metrics: Metrics, models: Callable[[], Collection[str]], *, log_requests: bool = False
    ) -> None:
        self.metrics = metrics
        self._models = models
        self._log_requests = log_requests

    @contextlib.contextmanager
    def request(self, entrypoint: str, api: str) -> Iterator[Observation]:
        """Around a request; an error that leaves the block is its status."""
        observation = Observation(entrypoint, api)
        start = time.perf_counter()
        try:
            yield observation
        except ServingError as error:
            observation.status = error.code
            raise
        except TimeoutError:
            observation.status = "DEADLINE_EXCEEDED"
            raise
        except BaseException as error:
            observation.status = "INTERNAL" if isinstance(error, Exception) else "CANCELLED"
            raise
        finally:
            self._record(observation, time.perf_counter() - start)

    def _record(self, observation: Observation, seconds: float) -> None:
        model = observation.model if observation.model in self._models() else ""
        self.metrics.count_request(
            model, observation.api, observation.entrypoint, observation.status, seconds
        )
        if self._log_requests:
            fields = {
                "entrypoint": observation.entrypoint,
                "api": observation.api,
                "model": truncate(observation.model),
                "status": observation.status,
                "milliseconds": round(seconds * 1000, 3),
                "request_bytes": observation.request_bytes,
            }
            logger.info("request", extra={"fields": fields})


class JsonFormatter(logging.Formatter):
    """One JSON object for each line of the log."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as JSON, with the fields of a request if it is one."""
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, "fields", {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return escape_controls(json.dumps(line, ensure_ascii=False))


class TextFormatter(logging.Formatter):
    """Lines for people.

    What clients send cannot end a line and begin another one: control characters are escaped,
    and the lines of a traceback are indented.
    """

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """Time, level and message, with the fields of a request if it is one."""
        line = super().formatMessage(record)
        fields = getattr(record, "fields", {})
        parts = [line, *(f"{name}={value}" for name, value in fields.items())]
        return escape_controls(" ".join(parts))

    def formatException(self, ei: Any) -> str:  # noqa: N802
        """The traceback, indented."""
        lines = super().formatException(ei).splitlines()
        return "\n".join(f"    {escape_controls(line)}" for line in lines)


def escape_controls(text: str) -> str:
    r"""The text with what ends lines, moves a terminal's cursor or cannot be written escaped.

    Example:
        >>> print(escape_controls("one\ntwo\x9b31m"))
        one\u000atwo\u009b31m
    """
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() or letter == " " else _escape(letter) for letter in text
    )


def _escape(letter: str) -> str:
    code = ord(letter)
    if code <= 0xFFFF:
        return f"\\u{code:04x}"
    # As JSON has it, in two halves.
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def configure_logging(*, as_json: bool) -> None:
    """Sends the server's log to standard error."""
    handler = logging.StreamHandler()
    text = TextFormatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(JsonFormatter() if as_json else text)
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # TensorFlow's loader warns that sessions are of version 1; that is what is wanted here.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
