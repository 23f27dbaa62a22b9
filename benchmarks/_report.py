"""What every benchmark prints before its numbers: command, versions, hardware."""

import os
import shlex
import sys
from pathlib import Path
from typing import Any

from lsp_keras.evaluation.provenance import hardware, versions


def header(script: Path) -> dict[str, Any]:
    """Command line, versions and hardware of this process.

    Args:
        script: The benchmark's `__file__`; the folder above it does not appear.
    """
    command = ["python", f"benchmarks/{script.name}", *sys.argv[1:]]
    settings = {
        name: os.environ[name]
        for name in ("TF_NUM_INTRAOP_THREADS", "TF_ENABLE_ONEDNN_OPTS", "TF_XLA_FLAGS")
        if name in os.environ
    }
    return {
        "command": shlex.join(command),
        "environment": settings,
        "versions": dict(versions()),
        "hardware": dict(hardware()),
    }


def print_header(script: Path) -> None:
    """Prints the header as the first lines of a Markdown report."""
    facts = header(script)
    machine = facts["hardware"]
    gpus = ", ".join(machine["gpus"]) or "no GPU"
    settings = "".join(f"{name}={value} " for name, value in facts["environment"].items())
    print(f"`{settings}{facts['command']}`  ")
    print(f"{machine['cpu']}, {machine['cores']} cores, {gpus}  ")
    print(", ".join(f"{name} {version}" for name, version in facts["versions"].items()))
    print()
