"""Prometheus's text format, under TensorFlow Serving's names."""

import re

from lsp_keras.serving.observability.metrics import Metrics


def values(text: str) -> dict[str, float]:
    lines = [line for line in text.splitlines() if not line.startswith("#")]
    for line in lines:
        # As the exposition format has it: a name, labels, a number.
        assert re.fullmatch(r'[a-zA-Z_:][\w:]*\{(\w+="([^"\\\n]|\\.)*",?)*\} [\d.e+-]+', line)
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


def test_requests_are_counted_by_status_and_timed_in_microseconds() -> None:
    metrics = Metrics()
    for seconds in (9e-6, 10e-6, 11e-6, 1e9):
        metrics.count_request("m", "predict", "REST", "OK", seconds)
    metrics.count_request("m", "predict", "REST", "NOT_FOUND", 1e-6)
    text = metrics.render()
    numbers = values(text)
    assert numbers[':tensorflow:serving:request_count{model_name="m",status="OK"}'] == 4
    assert numbers[':tensorflow:serving:request_count{model_name="m",status="NOT_FOUND"}'] == 1
    labels = 'model_name="m",API="predict",entrypoint="REST"'
    bucket = f":tensorflow:serving:request_latency_bucket{{{labels},le="
    assert numbers[bucket + '"10"}'] == 3
    assert numbers[bucket + '"18"}'] == 4
    assert numbers[bucket + '"+Inf"}'] == 5
    assert numbers[f":tensorflow:serving:request_latency_count{{{labels}}}"] == 5
    assert numbers[f":tensorflow:serving:request_latency_sum{{{labels}}}"] == 1e15
    assert "# TYPE :tensorflow:serving:request_latency histogram" in text


def test_labels_are_escaped_and_gauges_read_when_shown() -> None:
    metrics = Metrics()
    level = [1.0]
    metrics.add_gauges(lambda: [("level", (("name", 'a"\\\n'),), level[0])])
    level[0] = 2.5
    assert values(metrics.render()) == {'level{name="a\\"\\\\\\n"}': 2.5}


def test_the_server_counts_what_it_answers(post, get) -> None:
    post("/v1/models/affine:predict", {"instances": [[0, 0, 0]]})
    for number in range(3):
        post(f"/v1/models/unknown{number}:predict", {"instances": [1]})
    answer = get("/monitoring/prometheus/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    numbers = values(answer.text)
    assert numbers[':tensorflow:serving:request_count{model_name="affine",status="OK"}'] >= 1
    # Clients cannot make metrics grow by inventing names.
    assert numbers[':tensorflow:serving:request_count{model_name="",status="NOT_FOUND"}'] == 3
    assert numbers['lsp_keras_serving_available_version{model_name="affine",version="1"}'] == 1
