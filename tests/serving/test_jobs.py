"""Manifests and scripts that deal work out: held against what Kubernetes, Slurm and we accept."""

import json
import re
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import pytest

import lsp_keras.serving as serving
from lsp_keras.choices import DISTRIBUTIONS
from lsp_keras.shards import PLACES, Shard

JOBS = Path(serving.__file__).parent / "deploy/jobs"
SCRIPTS = sorted(JOBS.glob("*.sbatch"))
# Fields of batch/v1 Job and of a pod's template, as Kubernetes's own API names them.
JOB_FIELDS = {
    "completionMode": str,
    "completions": int,
    "parallelism": int,
    "backoffLimit": int,
    "backoffLimitPerIndex": int,
    "maxFailedIndexes": int,
    "template": dict,
}
POD_FIELDS = {
    "restartPolicy": str,
    "automountServiceAccountToken": bool,
    "terminationGracePeriodSeconds": int,
    "subdomain": str,
    "containers": list,
    "volumes": list,
}
CONTAINER_FIELDS = {
    "name": str,
    "image": str,
    "command": list,
    "args": list,
    "ports": list,
    "resources": dict,
    "volumeMounts": list,
}


def documents(name: str) -> list[dict[str, Any]]:
    yaml = pytest.importorskip("yaml", reason="parses the files with PyYAML")
    return list(yaml.safe_load_all((JOBS / name).read_text()))


def job_of(name: str) -> dict[str, Any]:
    (job,) = (item for item in documents(name) if item["kind"] == "Job")
    return job


def check_fields(found: dict[str, Any], known: Mapping[str, type]) -> None:
    for field, value in found.items():
        assert isinstance(value, known[field]), field


@pytest.mark.parametrize("name", ["attack-job.yaml", "fit-job.yaml"])
def test_a_job_has_fields_that_kubernetes_knows(name) -> None:
    job = job_of(name)
    assert (job["apiVersion"], set(job)) == ("batch/v1", {"apiVersion", "kind", "metadata", "spec"})
    check_fields(job["spec"], JOB_FIELDS)
    pod = job["spec"]["template"]["spec"]
    check_fields(pod, POD_FIELDS)
    # An indexed job tells each pod its place, and a job's pods are never always restarted.
    assert job["spec"]["completionMode"] == "Indexed"
    assert job["spec"]["parallelism"] == job["spec"]["completions"]
    assert pod["restartPolicy"] in ("Never", "OnFailure")
    if "backoffLimitPerIndex" in job["spec"]:
        assert pod["restartPolicy"] == "Never"
    (container,) = pod["containers"]
    check_fields(container, CONTAINER_FIELDS)
    volumes = {volume["name"] for volume in pod["volumes"]}
    assert {mount["name"] for mount in container["volumeMounts"]} == volumes


def options_of(command: click.Command, words: list[str]) -> dict[str, Any]:
    """What Click makes of a command line, which it refuses where an option is unknown."""
    return command.make_context(command.name or "", list(words)).params


def test_the_evaluation_is_dealt_out_to_as_many_pods_as_there_are(monkeypatch) -> None:
    from lsp_keras.cli.attack import command

    spec = job_of("attack-job.yaml")["spec"]
    (container,) = spec["template"]["spec"]["containers"]
    name, *words = container["args"]
    assert name == "attack"
    options = options_of(command, words)
    shard = Shard.parse(options["shard"], {PLACES[0]: "3"})
    assert shard == Shard(3, spec["completions"])


def test_the_workers_find_each_other(monkeypatch, tmp_path) -> None:
    from lsp_keras.cli.fit import command

    job, (service,) = (
        job_of("fit-job.yaml"),
        [item for item in documents("fit-job.yaml") if item["kind"] == "Service"],
    )
    spec = job["spec"]
    pod = spec["template"]["spec"]
    assert service["spec"]["clusterIP"] == "None"
    assert service["metadata"]["name"] == pod["subdomain"]
    assert service["spec"]["selector"] == {"job-name": job["metadata"]["name"]}
    (container,) = pod["containers"]
    (script,) = container["args"]
    # The shell itself says what the worker of that place is told.
    script = script.replace("exec lsp-keras", "printf '%s\\n' \"$TF_CONFIG\"; echo")
    told, line = _run(script, {"JOB_COMPLETION_INDEX": "1"}).split("}}\n")
    config = json.loads(told + "}}")
    port = service["spec"]["ports"][0]["port"]
    name = job["metadata"]["name"]
    workers = [f"{name}-{index}.{pod['subdomain']}:{port}" for index in range(spec["completions"])]
    assert config == {"cluster": {"worker": workers}, "task": {"type": "worker", "index": 1}}
    options = options_of(command, shlex.split(line)[1:])
    assert options["distribute"] in DISTRIBUTIONS
    assert not options["resume"]
    # TensorFlow ignores SIGTERM; waiting for it would only delay the next start.
    assert pod["terminationGracePeriodSeconds"] <= 5


def _run(script: str, variables: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        ["bash", "-c", script, "script", *arguments],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", **variables},
    )
    return done.stdout


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_a_script_is_one_that_sbatch_and_our_commands_read(path) -> None:
    from lsp_keras.cli import attack, fit

    lines = path.read_text().splitlines()
    assert lines[0] == "#!/bin/bash"
    given = [line.removeprefix("#SBATCH ") for line in lines if line.startswith("#SBATCH")]
    known = r"--(job-name|array|ntasks|ntasks-per-node|nodes|cpus-per-task|gres|time|requeue)"
    assert all(re.fullmatch(rf"{known}(=\S+)?", option) for option in given)
    # sbatch reads no option below the first command.
    first = next(place for place, line in enumerate(lines) if line and not line.startswith("#"))
    assert not any(line.startswith("#SBATCH") for line in lines[first:])
    script = path.read_text().replace("srun", "echo")
    line = _run(script, {"SLURM_ARRAY_TASK_ID": "5"}, "runs/x")
    program, name, *words = shlex.split(line)
    assert program == "lsp-keras"
    options = options_of({"attack": attack.command, "fit": fit.command}[name], words)
    if name == "attack":
        (array,) = (option for option in given if option.startswith("--array"))
        low, high = map(int, re.findall(r"\d+", array))
        assert (low, Shard.parse(options["shard"])) == (0, Shard(5, high + 1))
    else:
        assert options["distribute"] == "slurm"
