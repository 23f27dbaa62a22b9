"""The web page in a real browser, driven over the DevTools protocol."""

import base64
import io
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import keras
import numpy as np
import pytest
import requests
from PIL import Image

from lsp_keras.export import export_model, make_card
from lsp_keras.serving.models.versions import ModelConfig
from lsp_keras.serving.options import ServerOptions
from lsp_keras.serving.rest.page import CARD_FILE, _card
from lsp_keras.serving.server import Server, running

RECORD = {
    "statement": "Robust accuracy 41.2 % under pgd at L-inf 8/255.",
    "model_fingerprint": "abc",
    "threat_model": {"norm": "linf", "epsilon": 8 / 255, "epsilon_text": "8/255"},
    "clean_accuracy": {"value": 0.873},
    "attacks": {"pgd": {"accuracy": {"value": 0.412}}},
    "worst_case_accuracy": {"value": 0.412},
}
CLASSES = ["red", "green", "blue & <b>bold</b>"]


class Browser:
    """Chromium over a pipe: messages are JSON, a zero byte after each."""

    def __init__(self, binary: str, profile: Path) -> None:
        to_browser, self._write = os.pipe()
        self._read, from_browser = os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe"]
        command = [binary, *flags, "--window-size=1200,1000", f"--user-data-dir={profile}"]
        script = f'exec "$@" 3<&{to_browser} 4>&{from_browser}'
        self._process = subprocess.Popen(
            ["bash", "-c", script, "bash", *command],
            pass_fds=(to_browser, from_browser),
            stderr=subprocess.DEVNULL,
        )
        os.close(to_browser)
        os.close(from_browser)
        self._buffer = b""
        self._number = 0
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        attached = self.send("Target.attachToTarget", targetId=target, flatten=True)
        self._session = attached["sessionId"]

    _session: str | None = None

    def send(self, method: str, **params: Any) -> dict[str, Any]:
        self._number += 1
        message = {"id": self._number, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return answer["result"]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            chunk = os.read(self._read, 1 << 16)
            assert chunk, "the browser has gone"
            self._buffer += chunk
        line, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(line)

    def evaluate(self, expression: str) -> Any:
        options = {"returnByValue": True, "awaitPromise": True}
        return self.send("Runtime.evaluate", expression=expression, **options)["result"].get(
            "value"
        )

    def text(self, selector: str) -> str:
        return self.evaluate(f"document.querySelector({selector!r})?.innerText ?? ''")

    def wait(self, expression: str) -> None:
        for _ in range(300):
            if self.evaluate(expression):
                return
            time.sleep(0.05)
        pytest.fail(f"{expression} did not come true; the page says: {self.text('body')}")

    def choose_file(self, selector: str, path: Path) -> None:
        root = self.send("DOM.getDocument")["root"]["nodeId"]
        node = self.send("DOM.querySelector", nodeId=root, selector=selector)["nodeId"]
        self.send("DOM.setFileInputFiles", files=[str(path)], nodeId=node)

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self.send("Page.captureScreenshot")["data"]))

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._write)
        os.close(self._read)


@pytest.fixture(scope="module")
def model_folder(tmp_path_factory) -> Path:
    """A classifier of the strongest color."""
    base = tmp_path_factory.mktemp("page") / "colors"
    images = keras.Input((8, 8, 3))
    mean = keras.layers.Flatten()(keras.layers.AveragePooling2D(8)(images))
    dense = keras.layers.Dense(3)
    model = keras.Model(images, dense(mean))
    dense.set_weights([4.0 * np.eye(3), np.zeros(3)])
    card = make_card(
        class_names=CLASSES,
        fingerprint="abc",
        versions={"keras": "3"},
        dataset={"name": "colors"},
        training={"method": "at"},
        evaluations=[RECORD],
    )
    export_model(model, base, class_names=CLASSES, card=card)
    return base


@pytest.fixture(scope="module")
def server(model_folder) -> Iterator[Server]:
    options = ServerOptions(rest_port=0, grpc_port=None)
    with running([ModelConfig("colors", model_folder)], options) as started:
        yield started


@pytest.fixture
def browser(tmp_path) -> Iterator[Browser]:
    binary = shutil.which("chromium") or shutil.which("chromium-browser")
    if binary is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    opened = Browser(binary, tmp_path / "profile")
    yield opened
    opened.close()


def png(color: tuple[int, int, int]) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (40, 30), color).save(stream, "PNG")
    return stream.getvalue()


def test_an_image_in_classes_card_and_commands_out(server, browser, tmp_path) -> None:
    url = f"http://127.0.0.1:{server.rest_port}/"
    browser.send("Page.enable")
    browser.send("Page.navigate", url=url)
    browser.wait("document.querySelector('#model')?.value === 'colors'")
    assert browser.text("#statement") == RECORD["statement"]
    assert browser.text("#plainly") == (
        "Of 100 pictures like those it was tested on, it names 87 rightly, and 41 after every "
        "point was made brighter or darker by at most 8 of 255 steps by the attacks that were "
        "tried (a stronger one may do worse)."
    )
    accuracies = " ".join(browser.text("#accuracies").split())
    assert accuracies == "clean 87.3 % pgd 41.2 % worst case 41.2 %"
    assert "8/255" in browser.text("#facts")
    image = tmp_path / "it's green.png"
    image.write_bytes(png((0, 255, 0)))
    browser.choose_file("#file", image)
    # Softmax of (0, 4, 0).
    browser.wait("document.querySelector('#verdict').innerText.startsWith('green, 96.5')")
    classes = browser.text("#classes")
    assert CLASSES[2] in classes
    assert browser.evaluate("document.querySelectorAll('#classes b').length") == 0
    assert browser.evaluate("document.querySelector('#preview').naturalWidth") == 40
    browser.screenshot(Path(os.environ.get("SCREENSHOT", tmp_path / "page.png")))
    # The command on the page works as it stands.
    command = browser.text("#curl")
    answer = subprocess.run(
        ["bash", "-c", command], cwd=tmp_path, capture_output=True, check=True, timeout=30
    )
    assert json.loads(answer.stdout)["predictions"][0]["class_names"] == "green"
    assert f'Client("{url.rstrip("/")}", model="colors")' in browser.text("#python")


def test_what_nobody_measured_is_said_plainly_too(server, browser) -> None:
    browser.send("Page.navigate", url=f"http://127.0.0.1:{server.rest_port}/")
    browser.wait("document.querySelector('#model')?.value === 'colors'")
    said = browser.evaluate("import('/page/plainly.js').then((it) => it.plainLine(undefined))")
    assert said.startswith("Nobody has measured how this model does under attack")
    share = {"value": 0.3}
    record = {"clean_accuracy": share, "worst_case_accuracy": share, "is_autoattack": True}
    record["threat_model"] = {"norm": "l2", "epsilon": 0.5, "epsilon_text": "0.5"}
    ask = f"import('/page/plainly.js').then((it) => it.plainLine({json.dumps(record)}))"
    assert "whole picture (size 0.5) by an attacker who knows" in browser.evaluate(ask)


def test_a_dropped_image_and_a_broken_one(server, browser) -> None:
    browser.send("Page.navigate", url=f"http://127.0.0.1:{server.rest_port}/")
    browser.wait("document.querySelector('#model')?.value === 'colors'")
    drop = """
        (() => {
          const bytes = Uint8Array.from(atob(%r), (c) => c.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "x.png", { type: "image/png" }));
          const event = new DragEvent("drop", { dataTransfer: transfer, bubbles: true });
          document.querySelector("#drop").dispatchEvent(event);
        })()
    """
    browser.evaluate(drop % base64.b64encode(png((255, 0, 0))).decode())
    browser.wait("document.querySelector('#verdict').innerText.startsWith('red')")
    browser.evaluate(drop % base64.b64encode(b"no image").decode())
    browser.wait("!document.querySelector('#message').hidden")
    assert "no image of a format that can be served" in browser.text("#message")
    assert browser.text("#verdict") == "No answer."


def test_the_page_runs_no_foreign_code_and_can_be_switched_off(server, model_folder) -> None:
    url = f"http://127.0.0.1:{server.rest_port}"
    page = requests.get(url, timeout=10)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert "http" not in page.text.replace("<!doctype html>", "")
    card = requests.get(f"{url}/page/models", timeout=10).json()["models"][0]["card"]
    assert card["class_names"] == CLASSES
    options = ServerOptions(rest_port=0, grpc_port=None, page=False)
    with running([ModelConfig("colors", model_folder)], options) as bare:
        answer = requests.get(f"http://127.0.0.1:{bare.rest_port}/", timeout=10)
        assert answer.status_code == 404


def test_models_are_shown_to_holders_of_the_token_only(model_folder) -> None:
    options = ServerOptions(rest_port=0, grpc_port=None, token="secret")
    with running([ModelConfig("colors", model_folder)], options) as guarded:
        url = f"http://127.0.0.1:{guarded.rest_port}"
        assert requests.get(url, timeout=10).ok
        assert requests.get(f"{url}/page/models", timeout=10).status_code == 401
        headers = {"Authorization": "Bearer secret"}
        assert requests.get(f"{url}/page/models", headers=headers, timeout=10).ok


@pytest.mark.parametrize(
    "text", ["{", '{"a": ' + "9" * 30 + "}", '"\\ud800"', "[" * 300 + "]" * 300, "[" * 10**5, "\0"]
)
def test_a_card_that_cannot_be_sent_is_none(tmp_path, text: str) -> None:
    file = tmp_path / CARD_FILE
    file.parent.mkdir()
    servable: Any = SimpleNamespace(path=tmp_path)
    file.write_text('{"a": 1}')
    assert _card(servable) == {"a": 1}
    file.write_text(text)
    assert _card(servable) is None
