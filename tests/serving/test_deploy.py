"""Deployment files: parsed, and held against the flags, files and metrics they name."""

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import lsp_keras.serving as serving
from lsp_keras.serving.flags import FLAGS, UPSTREAM_FLAGS
from lsp_keras.serving.models.config_files import (
    read_batching_parameters,
    read_metrics_path,
    read_model_config,
)
from lsp_keras.serving.observability.metrics import Metrics

DEPLOY = Path(serving.__file__).parent / "deploy"
COMPOSE = DEPLOY / "compose/docker-compose.yaml"
KUBERNETES = DEPLOY / "kubernetes"


def load_yaml(path: Path) -> Any:
    yaml = pytest.importorskip("yaml", reason="parses the files with PyYAML")
    return yaml.safe_load(path.read_text())


def serving_container() -> dict[str, Any]:
    template = load_yaml(KUBERNETES / "deployment.yaml")["spec"]["template"]
    (container,) = template["spec"]["containers"]
    return container


@pytest.mark.parametrize("path", [COMPOSE, KUBERNETES / "deployment.yaml"])
def test_every_flag_is_one_of_tensorflow_model_server(path: Path) -> None:
    flags = re.findall(r"- --(\w+)=", path.read_text())
    assert len(flags) == 8
    assert set(flags) <= {flag.name for flag in UPSTREAM_FLAGS}


@pytest.mark.parametrize("path", [COMPOSE, KUBERNETES / "deployment.yaml"])
def test_every_configuration_file_that_a_flag_names_is_there(path: Path) -> None:
    names = re.findall(r"=/config/([\w.]+)", path.read_text())
    assert sorted(names) == ["batching.config", "models.config", "monitoring.config"]
    generated = (KUBERNETES / "kustomization.yaml").read_text()
    for name in names:
        assert (DEPLOY / "config" / name).is_file()
        assert f"- ../config/{name}" in generated


def test_the_configuration_files_say_what_the_others_rely_on() -> None:
    (model,) = read_model_config(DEPLOY / "config/models.config")
    assert (str(model.base_path), model.policy.latest) == ("/models/svhn", 2)
    assert read_batching_parameters(DEPLOY / "config/batching.config").max_batch_size.value == 32
    path = read_metrics_path(DEPLOY / "config/monitoring.config")
    assert f"metrics_path: {path}\n" in (DEPLOY / "compose/prometheus.yaml").read_text()
    assert f"prometheus.io/path: {path}\n" in (KUBERNETES / "deployment.yaml").read_text()


def test_compose_mounts_what_exists_and_opens_ports_on_loopback_only() -> None:
    compose = load_yaml(COMPOSE)
    for service in compose["services"].values():
        for volume in service["volumes"]:
            source = volume.rsplit(":", 2)[0]
            if not source.startswith("${MODELS"):
                assert (COMPOSE.parent / source).exists(), source
            assert volume.endswith(":ro")
        assert all(port.startswith("127.0.0.1:") for port in service["ports"])
        assert re.fullmatch(r"[\w/-]+:v?\d+\.\d+\.\d+", service["image"])
    targets = load_yaml(COMPOSE.parent / "prometheus.yaml")["scrape_configs"][0]
    assert targets["static_configs"][0]["targets"] == ["serving:8501"]
    datasource = load_yaml(DEPLOY / "grafana/provisioning/datasources/prometheus.yaml")
    assert datasource["datasources"][0]["url"] == "http://prometheus:9090"


def test_probes_ports_and_selectors_fit_together() -> None:
    container = serving_container()
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert container[probe]["grpc"]["port"] == ports["grpc"]
    deployment = load_yaml(KUBERNETES / "deployment.yaml")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    service = load_yaml(KUBERNETES / "service.yaml")
    budget = load_yaml(KUBERNETES / "disruption-budget.yaml")
    scaled = load_yaml(KUBERNETES / "autoscaler.yaml")["spec"]["scaleTargetRef"]
    assert service["spec"]["selector"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    assert {port["targetPort"] for port in service["spec"]["ports"]} == set(ports)
    assert (scaled["kind"], scaled["name"]) == ("Deployment", deployment["metadata"]["name"])
    claims = {
        volume["persistentVolumeClaim"]["claimName"]
        for volume in deployment["spec"]["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    }
    assert claims == {load_yaml(KUBERNETES / "models-claim.yaml")["metadata"]["name"]}


def test_kustomize_builds_the_manifests() -> None:
    if shutil.which("kubectl") is None:
        pytest.skip("builds the manifests with kubectl, which is not installed")
    command = ["kubectl", "kustomize", "--load-restrictor", "LoadRestrictionsNone"]
    built = subprocess.run(
        [*command, str(KUBERNETES)], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    kinds = re.findall(r"^kind: (\w+)$", built, re.MULTILINE)
    assert sorted(kinds) == [
        "ConfigMap",
        "Deployment",
        "HorizontalPodAutoscaler",
        "PersistentVolumeClaim",
        "PodDisruptionBudget",
        "Service",
    ]
    assert "max_batch_size { value: 32 }" in built


def test_the_dashboard_asks_for_metrics_that_the_server_has() -> None:
    metrics = Metrics()
    metrics.count_request("m", "predict", "REST", "OK", 0.001)
    metrics.count_batch("s", 1)
    text = metrics.render() + "lsp_keras_serving_pending_requests\n"
    text += "lsp_keras_serving_available_version\n"
    dashboard = json.loads((DEPLOY / "grafana/dashboards/model-server.json").read_text())
    expressions = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    names = {
        name
        for expression in expressions
        for name in re.findall(r":tensorflow:[\w:]+|lsp_keras_\w+", expression)
    }
    assert len(names) == 6
    for name in names:
        assert re.search(rf"^{name}\b", text, re.MULTILINE), name
    for expression in expressions:
        assert expression.count("(") == expression.count(")")


def test_prometheus_accepts_its_configuration_and_our_metrics() -> None:
    if shutil.which("promtool") is None:
        pytest.skip("checks with promtool of Prometheus, which is not installed")
    config = str(DEPLOY / "compose/prometheus.yaml")
    subprocess.run(["promtool", "check", "config", config], check=True, capture_output=True)
    metrics = Metrics()
    metrics.count_request("m", "predict", "REST", "OK", 0.001)
    metrics.count_batch("s", 3)
    metrics.add_gauges(lambda: [("lsp_keras_serving_pending_requests", (), 2.0)])
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=metrics.render(), capture_output=True, text=True
    )
    # Upstream's names do not follow Prometheus's advice, which is all it may complain about.
    assert "error while linting" not in checked.stderr, checked.stderr
    assert "parse" not in checked.stderr, checked.stderr


@pytest.mark.parametrize("name", ["server", "training-gpu"])
def test_dockerfiles_install_the_package_and_start_its_command(name: str) -> None:
    text = (DEPLOY / f"docker/{name}.Dockerfile").read_text()
    instructions = dict(re.findall(r"^([A-Z]+) ((?:.*\\\n)*.*)$", text, re.MULTILINE))
    assert instructions["ARG"] == "PACKAGE=/src"
    assert "pip install" in text
    assert '"$PACKAGE"' in text
    command = json.loads(instructions["ENTRYPOINT"])
    assert command[0] == "lsp-keras"
    minor = re.search(r"^FROM python:3\.(\d+)-slim$", text, re.MULTILINE)
    assert minor is not None
    assert 11 <= int(minor[1]) <= 13


def test_the_server_image_starts_with_flags_that_there_are() -> None:
    text = (DEPLOY / "docker/server.Dockerfile").read_text()
    entry = json.loads(re.findall(r"^ENTRYPOINT (.*)$", text, re.MULTILINE)[0])
    flags = re.findall(r"--(\w+)=", " ".join(entry))
    assert flags == ["host"]
    assert {flag.name for flag in FLAGS} >= set(flags)
    ports = [flag.default for flag in FLAGS if flag.name in ("port", "rest_api_port")]
    assert f"EXPOSE {ports[0]} {ports[1]}" in text
    assert f"127.0.0.1:{ports[1]}/readyz" in text
