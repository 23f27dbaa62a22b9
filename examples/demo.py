"""The main job end to end on the embedded digits: fit, attack, export, serve, predict.

Then the robust network of the zoo: an attack that fools the standard one and not this one, and the
robust one served. Each step is a command that a user would type; everything lands in demo/.
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
ROBUST = HERE / "models" / "cifar10_robust"
FLOWER = HERE / "flower.png"
PICTURE = HERE / "two_networks.png"
STARTUP_SECONDS = 180


def main() -> None:
    """Runs the steps and prints what was made."""
    start = time.perf_counter()
    shutil.rmtree(HERE, ignore_errors=True)
    run("fit", "--recipe", "digits_demo", "--name", RUN.name, "--runs-dir", str(RUN.parent))
    run("attack", str(RUN), "--attacks", "fgsm,pgd", "--epsilon", "16/255")
    run("export", str(RUN), "--to", str(MODEL))
    save_test_image(digit=3)
    predict(MODEL, IMAGE)
    compare_networks()
    run("export", "zoo:cifar10_robust", "--to", str(ROBUST))
    save_flower()
    predict(ROBUST, FLOWER)
    print(
        f"\nDone in {time.perf_counter() - start:.0f} s. What was made:\n"
        f"  {RUN}/model.keras        the classifier with the best validation accuracy\n"
        f"  {RUN}/history.csv        one row for each epoch\n"
        f"  {RUN}/evaluations/       the attack's record\n"
        f"  {MODEL}/1/         the SavedModel, as TensorFlow Serving reads it\n"
        f"  {IMAGE}            the test image that was classified\n"
        f"  {PICTURE}     what the attack did to the standard and to the robust network\n"
        f"  {ROBUST}/1 the robust network, ready to be served\n"
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


def compare_networks() -> None:
    """Attacks both networks of the zoo on pieces of photographs, and draws what came of it."""
    script = Path(__file__).with_name("two_networks.py")
    arguments = ["--num-images", "48", "--output", str(PICTURE)]
    print(f"\n$ python examples/{script.name} {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, str(script), *arguments], check=True)


def save_flower() -> None:
    """Writes a photograph that comes with scikit-learn as a PNG."""
    from PIL import Image
    from sklearn.datasets import load_sample_image

    Image.fromarray(load_sample_image("flower.jpg")).save(FLOWER)


def predict(model: Path, image: Path) -> None:
    """Serves a model on a free port and asks for one prediction."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}/v1/models/{model.name}"
    arguments = ["serve", str(model), "--rest-api-port", str(port), "--port", "0"]
    print(f"\n$ lsp-keras {' '.join(arguments)} &", flush=True)
    server = subprocess.Popen([sys.executable, "-m", "lsp_keras", *arguments])
    try:
        wait_until_available(url, server)
        run("predict", "--url", url, str(image))
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
