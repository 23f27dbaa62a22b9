"""The main job end to end on the embedded digits: fit, attack, export, serve, predict.

Each step is the command a user would type; everything lands in the folder demo/.
"""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

HERE = Path("demo")
RUN = HERE / "runs" / "digits"
MODEL = HERE / "models" / "digits"
IMAGE = HERE / "three.png"
STARTUP_SECONDS = 60


def main() -> None:
    """Runs the steps and prints what was made."""
    start = time.perf_counter()
    shutil.rmtree(HERE, ignore_errors=True)
    run("fit", "--recipe", "digits_demo", "--name", RUN.name, "--runs-dir", str(RUN.parent))
    run("attack", str(RUN), "--attacks", "fgsm,pgd", "--epsilon", "16/255")
    run("export", str(RUN), "--to", str(MODEL))
    save_test_image(digit=3)
    predict()
    print(
        f"\nDone in {time.perf_counter() - start:.0f} s. What was made:\n"
        f"  {RUN}/model.keras        the classifier with the best validation accuracy\n"
        f"  {RUN}/history.csv        one row for each epoch\n"
        f"  {RUN}/evaluations/       the attack's record\n"
        f"  {MODEL}/1/         the SavedModel, as TensorFlow Serving reads it\n"
        f"  {IMAGE}            the test image that was classified\n"
        f"Serve it again: .venv/bin/lsp-keras serve {MODEL}"
    )


def run(*arguments: str) -> None:
    """Prints a command and runs it, ending the demo if it fails."""
    print(f"\n$ lsp-keras {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "lsp_keras", *arguments], check=True)


def save_test_image(digit: int) -> None:
    """Writes the first test image of a digit as a PNG."""
    from PIL import Image

    from lsp_keras import datasets

    test = datasets.load("digits").test
    Image.fromarray(test.images[test.labels == digit][0]).save(IMAGE)


def predict() -> None:
    """Serves the model on a free port and asks for one prediction."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1/models/{MODEL.name}"
    arguments = ["serve", str(MODEL), "--rest-api-port", str(port), "--port", "0"]
    print(f"\n$ lsp-keras {' '.join(arguments)} &", flush=True)
    server = subprocess.Popen([sys.executable, "-m", "lsp_keras", *arguments])
    try:
        wait_until_available(url, server)
        run("predict", "--url", url, str(IMAGE))
    finally:
        server.terminate()
        server.wait()


def wait_until_available(url: str, server: "subprocess.Popen[bytes]") -> None:
    """Returns once a version is AVAILABLE; ends the demo if the server stops or is too slow."""
    deadline = time.monotonic() + STARTUP_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            with urllib.request.urlopen(url) as answer:
                versions = json.load(answer)["model_version_status"]
            if any(version["state"] == "AVAILABLE" for version in versions):
                return
        except OSError:
            pass
        time.sleep(0.2)
    sys.exit(f"The server did not answer at {url} within {STARTUP_SECONDS} s.")


if __name__ == "__main__":
    main()
