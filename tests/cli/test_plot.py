"""`lsp-keras plot`: what the pictures hold."""

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lsp_keras.cli.main import main
from lsp_keras.plots import runs as _run_plots

COLUMNS: dict[str, list[Any]] = {
    "epoch": [1, 2, 3],
    "accuracy": [0.2, 0.5, 0.75],
    "cross_entropy": [2.25, 1.5, 1.0],
    "loss": [2.5, 1.75, 1.25],
    "lsp": [0.125, 0.25, 0.5],
    "learning_rate": [0.1, 0.05, 0.01],
    "val_accuracy": [0.25, 0.5, 0.5],
    "val_robust_accuracy": [0.125, 0.25, 0.0],
    "images_per_second": [100.0, 200.0, 150.0],
}
SETTINGS = 'select_by = "robust"\nvalidation_epsilon = "8/255"\n[regularizers.lsp]\nweight = 0.0\n'


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Path]:
    """A folder as `lsp-keras fit` leaves it; columns of `None` are left out."""

    def make(name: str, settings: str = SETTINGS, **changed: list[Any] | None) -> Path:
        columns = {key: value for key, value in (COLUMNS | changed).items() if value is not None}
        rows = zip(*columns.values(), strict=True)
        lines = [",".join(columns), *(",".join(map(str, row)) for row in rows)]
        folder = tmp_path / name
        folder.mkdir(parents=True)
        (folder / "history.csv").write_text("\n".join(lines) + "\n")
        (folder / "config.toml").write_text(settings)
        return folder

    return make


@pytest.fixture
def plot(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command in this process; returns its exit status."""

    def run(*arguments: object) -> int:
        monkeypatch.setattr(sys, "argv", ["lsp-keras", "plot", *map(str, arguments)])
        with pytest.raises(SystemExit) as exit_info:
            main()
        return int(exit_info.value.code or 0)

    return run


@pytest.fixture
def figures(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that are written."""
    drawn: list[Any] = []
    save = vars(_run_plots)["save"]

    def keep(figure: Any, path: Path) -> None:
        drawn.append(figure)
        save(figure, path)

    monkeypatch.setattr(_run_plots, "save", keep)
    return drawn


def curves(axes: Any) -> dict[str, list[float]]:
    """Values of each curve with a name, over the epochs 1, 2, 3."""
    lines = [line for line in axes.get_lines() if not line.get_label().startswith("_")]
    assert all(list(line.get_xdata()) == [1, 2, 3] for line in lines)
    return {line.get_label(): list(line.get_ydata()) for line in lines}


def test_one_run_is_drawn_with_the_values_of_its_history(
    plot: Callable[..., int], make_run: Callable[..., Path], figures: list[Any], capsys
) -> None:
    run = make_run("svhn-at+lsp")
    counts = {"num_images": {"train": 1024, "validation": 14, "test": 10}}
    (run / "dataset.json").write_text(json.dumps(counts))
    assert plot(run) == 0
    picture = Path(capsys.readouterr().out.strip())
    assert picture == run / "history.png"
    assert picture.read_bytes().startswith(b"\x89PNG")
    losses, accuracies, rate, lsp, speed = figures[0].axes
    assert curves(losses) == {"cross-entropy": COLUMNS["cross_entropy"]}
    assert curves(lsp) == {"LSP (only measured)": COLUMNS["lsp"]}
    assert curves(accuracies) == {
        "training images, as trained on": [20.0, 50.0, 75.0],
        "validation, clean": [25.0, 50.0, 50.0],
        "validation, PGD at 8/255": [12.5, 25.0, 0.0],
    }
    assert curves(rate) == {"learning rate": COLUMNS["learning_rate"]}
    assert curves(speed) == {"images / s": COLUMNS["images_per_second"]}
    titles = [axes.get_ylabel() for axes in (losses, lsp, accuracies, rate, speed)]
    assert titles == [
        *("cross-entropy (nats)", "LSP loss", "accuracy (%)", "learning rate", "images / s")
    ]
    assert rate.get_xlabel() == "epoch"
    assert figures[0].get_suptitle() == (
        "svhn-at+lsp: 1,024 training and 14 validation images; best epoch 2 (dotted)"
    )
    # Learning rate and speed take a strip: less than a fifth of the page.
    heights = [axes.get_position().height for axes in (losses, accuracies, rate)]
    assert heights[2] < 0.5 * min(heights[:2])
    assert [line.get_xdata()[0] for line in losses.get_lines()[1:]] == [2]


def test_what_a_run_did_not_log_is_left_out(
    plot: Callable[..., int], make_run: Callable[..., Path], figures: list[Any]
) -> None:
    run = make_run(
        "bare", settings="", cross_entropy=None, lsp=["", "", ""], images_per_second=None
    )
    assert plot(run) == 0
    losses, accuracies, rate = figures[0].axes
    assert curves(losses) == {"whole loss": COLUMNS["loss"]}
    assert "validation, PGD" in curves(accuracies)
    assert list(curves(rate)) == ["learning rate"]
    assert figures[0].get_suptitle() == "bare"


def test_gaps_stay_gaps(
    plot: Callable[..., int], make_run: Callable[..., Path], figures: list[Any]
) -> None:
    assert plot(make_run("gap", val_ema_accuracy=["", 0.5, 0.75])) == 0
    averaged = curves(figures[0].axes[1])["clean, averaged weights"]
    np.testing.assert_array_equal(averaged, [np.nan, 50.0, 75.0])


def test_the_first_epoch_alone_is_drawn(
    plot: Callable[..., int], make_run: Callable[..., Path], figures: list[Any]
) -> None:
    assert plot(make_run("young", **{name: values[:1] for name, values in COLUMNS.items()})) == 0
    low, high = figures[0].axes[2].get_xlim()
    ticks = [tick for tick in figures[0].axes[2].get_xticks() if low <= tick <= high]
    assert ticks == [1.0]


def test_several_runs_share_panels(
    plot: Callable[..., int], make_run: Callable[..., Path], figures: list[Any], tmp_path: Path
) -> None:
    first = make_run("plain", lsp=None)
    second = make_run(
        "other", settings=SETTINGS.replace("8/255", "2/255"), val_accuracy=[0.5, 0.75, 1.0]
    )
    assert plot(first, second, "--output", tmp_path / "both.svg") == 0
    assert "<svg" in (tmp_path / "both.svg").read_text()
    panels = {axes.get_ylabel(): axes.get_lines() for axes in figures[0].axes}
    assert {title: len(lines) for title, lines in panels.items()} == {
        "cross-entropy (nats)": 2,
        "clean accuracy (%)": 2,
        "LSP loss": 1,
        "accuracy, PGD (%)": 2,
        "learning rate": 2,
        "images / s": 2,
    }
    legend = figures[0].legends[0]
    names = [text.get_text() for text in legend.get_texts()]
    assert names == ["plain (PGD at 8/255)", "other (PGD at 2/255)"]
    clean = panels["clean accuracy (%)"]
    assert [list(line.get_ydata()) for line in clean] == [[25.0, 50.0, 50.0], [50.0, 75.0, 100.0]]
    colors = [line.get_color() for line in legend.get_lines()]
    assert [line.get_color() for line in clean] == colors
    assert len(set(colors)) == 2
    assert panels["LSP loss"][0].get_color() == colors[1]


def test_runs_of_the_same_name_are_told_apart_by_their_paths(
    plot: Callable[..., int], make_run: Callable[..., Path], figures: list[Any], tmp_path: Path
) -> None:
    runs = [make_run("a/digits"), make_run("b/digits")]
    assert plot(*runs, "--output", tmp_path / "both.png") == 0
    names = [text.get_text() for text in figures[0].legends[0].get_texts()]
    assert names == [f"{run} (PGD at 8/255)" for run in runs]


def test_more_runs_than_colors_differ_in_their_lines(
    plot: Callable[..., int], make_run: Callable[..., Path], figures: list[Any], tmp_path: Path
) -> None:
    runs = [make_run(f"run-{number}") for number in range(9)]
    assert plot(*runs, "--output", tmp_path / "all.png") == 0
    lines = figures[0].axes[0].get_lines()
    assert len({(line.get_color(), line.get_linestyle()) for line in lines}) == 9


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "no finished epoch yet: history.csv is missing or empty"),
        ("", "no finished epoch yet"),
        ("epoch,loss\n", "no finished epoch yet"),
        ("epoch,loss\n1,high\n", r"not a history of `lsp-keras fit`: could not convert"),
        ("loss\n1.0\n", "the column `epoch` is missing"),
        ("epoch,loss\n1\n", "not a history"),
        ("epoch,loss\n1,2.0,3.0\n", "not a history"),
        ("epoch,loss\n,2.0\n", "not a history"),
        ("epoch,shoe_size\n1,44\n", "nothing to draw.* It holds: epoch, shoe_size"),
    ],
)
def test_a_history_that_cannot_be_drawn_is_named(
    text: str | None, message: str, plot: Callable[..., int], tmp_path: Path, capsys
) -> None:
    if text is not None:
        (tmp_path / "history.csv").write_text(text)
    assert plot(tmp_path) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert re.search(message, error), error
    assert not (tmp_path / "history.png").exists()


def test_wrong_use_is_named(
    plot: Callable[..., int], make_run: Callable[..., Path], tmp_path: Path, capsys
) -> None:
    run = make_run("digits")
    cases = {
        (tmp_path / "absent",): "There is no run ",
        (run, run): "Several runs share no folder",
        (run, "--output", tmp_path / "plot.bmp"): "must end in .png, .pdf, .svg",
        (): "Missing argument 'RUN...'",
    }
    for arguments, message in cases.items():
        assert plot(*arguments) == 2
        assert message in capsys.readouterr().err
