"""What the curves of a diagnosis say."""

from types import SimpleNamespace
from typing import Any

from lsp_keras.evaluation.share import Share
from lsp_keras.evaluation.statement import Facts, verdict
from lsp_keras.plots.diagnosis import draw_curves
from lsp_keras.types import ThreatModel

THREAT = ThreatModel.parse("8/255")


def diagnosis(clean: int) -> Any:
    facts = Facts(THREAT, 10, Share(clean, 14), Share(0, 14), ["PGD"], num_checks=9)
    return SimpleNamespace(
        sweeps={"radius": {4 / 255: 0.5, 8 / 255: 0.25}, "steps": {1.0: 0.5, 10.0: 0.25}},
        threat=THREAT,
        num_examples=14,
        verdict=verdict(facts),
    )


def test_radii_are_counted_in_pixels_where_the_norm_is_of_pixels() -> None:
    figure = draw_curves({"run": diagnosis(14)})
    labels = [[tick.get_text() for tick in panel.get_xticklabels()] for panel in figure.axes]
    assert labels == [["4/255", "8/255"], ["1", "10"]]
    euclidean = SimpleNamespace(**vars(diagnosis(14)) | {"threat": ThreatModel.parse("0.5", "l2")})
    euclidean.sweeps = {"radius": {0.25: 0.5, 0.5: 0.25}}
    (panel,) = draw_curves({"run": euclidean}).axes
    assert [tick.get_text() for tick in panel.get_xticklabels()] == ["0.25", "0.5"]


def test_runs_differ_in_color_and_line_and_say_what_they_were_measured_on() -> None:
    figure = draw_curves({"one": diagnosis(14), "other": diagnosis(13)})
    lines = figure.axes[1].get_lines()
    assert len({line.get_color() for line in lines}) == 2
    assert len({line.get_linestyle() for line in lines}) == 2
    assert [line.get_label() for line in lines] == [
        "one: 14 test images, L-inf 8/255",
        "other: 14 test images, L-inf 8/255",
    ]


def test_a_network_that_is_never_right_is_not_called_free_of_signs() -> None:
    title = draw_curves({"run": diagnosis(0)}).get_suptitle()
    assert title.startswith("run: Nothing to judge")
    assert "No sign" not in title
    assert "No sign of gradient masking" in draw_curves({"run": diagnosis(14)}).get_suptitle()
