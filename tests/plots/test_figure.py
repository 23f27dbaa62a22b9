"""Pictures with names that the user chose."""

from matplotlib.figure import Figure

from lsp_keras.plots.figure import plain


def test_names_are_shown_as_they_are(tmp_path) -> None:
    names = ["$x$", "a$b", "_hidden", "__", r"$\\frac{$", "run_1"]
    figure = Figure()
    panel = figure.subplots()
    for place, name in enumerate(names):
        panel.plot([0, 1], [0, place], label=plain(name))
    panel.set_title(plain(r"$\nothing$ of $\this{"))
    legend = panel.legend()
    assert [text.get_text().strip().replace("\\$", "$") for text in legend.get_texts()] == names
    # A formula that cannot be read would raise.
    figure.savefig(tmp_path / "figure.png")
