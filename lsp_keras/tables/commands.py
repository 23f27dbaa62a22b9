"""The command that makes a run."""

import shlex
from typing import Any

from lsp_keras.runs.settings.config import FitConfig, config_from
from lsp_keras.runs.settings.published import find_recipe

_SHOWN_FIRST = ("dataset", "method")


def fit_command(config: FitConfig, recipe: str | None = None) -> str:
    """`lsp-keras fit` with the options that lead to these settings.

    Args:
        config: The settings.
        recipe: Name of the recipe that it starts from; without one, the defaults.
    """
    base = FitConfig() if recipe is None else config_from(find_recipe(recipe), source=recipe)
    before, after = base.flat(), config.flat()
    if recipe is not None and any(before.get(name) is not None for name in before.keys() - after):
        # An option cannot take back what a recipe sets.
        return fit_command(config)
    changed = {
        name: value
        for name, value in after.items()
        if value is not None
        and (value != before.get(name) or (recipe is None and name in _SHOWN_FIRST))
        and name != "data_dir"
    }
    names = [name for name in _SHOWN_FIRST if name in changed]
    names += [name for name in changed if name not in names]
    words = ["lsp-keras", "fit", *(["--recipe", recipe] if recipe else [])]
    words += [word for name in names for word in _option(name, changed[name])]
    return shlex.join(words)


def _option(name: str, value: Any) -> list[str]:
    option = name.replace("_", "-")
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    return [f"--{option}", f"{value:g}" if isinstance(value, float) else str(value)]
