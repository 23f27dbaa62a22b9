"""Lines of the log, whatever clients put into them."""

import json
import logging
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lsp_keras.serving.observability.requests import JsonFormatter, TextFormatter, escape_controls

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"


def record(message: str, **fields: object) -> logging.LogRecord:
    made = logging.LogRecord("serving", logging.INFO, "", 0, "%s", (message,), None)
    made.fields = fields
    return made


@given(st.text(), st.text())
def test_a_record_is_one_line_and_tells_all_that_was_said(message: str, model: str) -> None:
    text = TextFormatter(FORMAT).format(record(message, model=model))
    assert len(text.splitlines()) == 1
    assert text.isprintable()
    line = JsonFormatter().format(record(message, model=model))
    assert line.isprintable()
    parsed = json.loads(line)
    assert (parsed["message"], parsed["model"]) == (message, model)


@pytest.mark.parametrize(
    ("text", "escaped"),
    [
        ("Größe 8/255", "Größe 8/255"),
        ("m\n2026-01-01 INFO forged", r"m\u000a2026-01-01 INFO forged"),
        ("\x1b[31m\x85\u2028", r"\u001b[31m\u0085\u2028"),
        ("\U000e0001", r"\udb40\udc01"),
    ],
)
def test_what_is_escaped(text: str, escaped: str) -> None:
    assert escape_controls(text) == escaped
    assert json.loads(f'"{escaped}"') == text


def test_a_traceback_cannot_look_like_a_record() -> None:
    try:
        raise ValueError("first\n2026-01-01 12:00:00 INFO serving: forged\x1b[2J")
    except ValueError:
        made = record("request failed")
        made.exc_info = sys.exc_info()
    first, *others = TextFormatter(FORMAT).format(made).splitlines()
    assert first.endswith("serving: request failed")
    assert all(line.startswith("    ") for line in others)
    forged = "2026-01-01 12:00:00 INFO serving: forged\\u001b[2J"
    assert forged in [line.strip() for line in others]
    assert len(json.loads(JsonFormatter().format(made))["exception"].splitlines()) > 3
