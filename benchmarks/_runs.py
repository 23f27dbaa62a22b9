"""What benchmarks of training runs share: commands, and means with their intervals."""

import json
import math
import os
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import scipy.stats

from lsp_keras.evaluation.share import Share
from lsp_keras.tables.intervals import Verdicts, accuracy

_REPOSITORY = Path(__file__).resolve().parents[1]


def lsp_keras(*arguments: str, jobs: int = 1) -> Any:
    """Runs a command and returns what it prints as JSON; progress goes to the terminal.

    Args:
        arguments: Command and options.
        jobs: Commands that run at a time and share the cores.
    """
    print(f"$ lsp-keras {' '.join(arguments)}", file=sys.stderr, flush=True)
    environment = dict(os.environ, PYTHONPATH=str(_REPOSITORY))
    if jobs > 1:
        threads = str(max(1, (os.cpu_count() or 1) // jobs))
        environment |= {"TF_NUM_INTRAOP_THREADS": threads, "OMP_NUM_THREADS": threads}
    command = [sys.executable, "-m", "lsp_keras", *arguments, "--json"]
    found = subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment)
    return json.loads(found.stdout)


def summarize_differences(differences: Sequence[float]) -> str:
    """Mean and, of two or more, its 95 % interval by Student's t."""
    mean = statistics.mean(differences)
    if len(differences) == 1:
        return f"{mean:+.1f}"
    error = statistics.stdev(differences) / math.sqrt(len(differences))
    half = error * scipy.stats.t.ppf(0.975, len(differences) - 1)
    return f"{mean:+.1f} [{mean - half:+.1f}, {mean + half:+.1f}]"


def summarize(accuracies: Sequence[Mapping[str, float]]) -> str:
    """Mean over the seeds with the 95 % interval that all tables show; in percent."""
    shares = [Share(int(item["count"]), int(item["total"])) for item in accuracies]
    found = accuracy([Verdicts(share) for share in shares])
    return f"{found.value:.1f} [{found.low:.1f}, {found.high:.1f}]"
