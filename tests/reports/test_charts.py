import math

import pytest

from lsp_keras.reports.charts import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, line_chart
from lsp_keras.reports.curves import radius_chart


def chart(series, **options):
    return line_chart("t", series, x_label="x", y_label="y", **options)


def test_corners_lie_in_the_corners() -> None:
    found = chart({"a": [(0.0, 0.0), (10.0, 100.0)]}, y_range=(0.0, 100.0))
    (line,) = found.lines
    assert line.points[0] == (LEFT, HEIGHT - BOTTOM)
    assert line.points[1] == pytest.approx((WIDTH - RIGHT, TOP))
    assert [text for _, text in found.y_ticks] == ["0", "20", "40", "60", "80", "100"]
    assert found.y_ticks[0][0] == HEIGHT - BOTTOM


def test_missing_values_leave_gaps_and_empty_curves_go() -> None:
    found = chart({"a": [(1.0, 2.0), (2.0, math.nan), (3.0, 1.0)], "b": [(1.0, math.inf)]})
    assert [line.name for line in found.lines] == ["a"]
    assert len(found.lines[0].points) == 2


def test_epochs_are_whole_and_no_tick_is_a_negative_zero() -> None:
    found = chart({"a": [(1.0, -0.02), (2.0, 0.4)]})
    assert [text for _, text in found.x_ticks] == ["1", "2"]
    assert "-0" not in [text for _, text in found.y_ticks]


def test_one_point_has_a_place() -> None:
    found = chart({"a": [(1.0, 0.5)]})
    x, y = found.lines[0].points[0]
    assert LEFT < x < WIDTH - RIGHT
    assert TOP < y < HEIGHT - BOTTOM


def test_radii_are_in_parts_of_255_and_this_reports_is_marked() -> None:
    curve = [{"epsilon": count / 255, "accuracy": 0.5} for count in (2, 4, 8, 127.5)]
    found = radius_chart(
        {"threat_model": {"norm": "linf", "epsilon": 8 / 255}, "accuracy_by_epsilon": curve}
    )
    assert [text for _, text in found.x_ticks] == ["2/255", "4/255", "8/255", "127.5/255"]
    assert found.mark == (found.x_ticks[2][0], "this report")
    assert radius_chart(None) is None
