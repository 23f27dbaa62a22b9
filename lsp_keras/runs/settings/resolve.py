"""The settings of a run with every default written out that depends on another setting."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from lsp_keras import registry
from lsp_keras.places import scheme_of
from lsp_keras.runs.settings.config import FitConfig
from lsp_keras.runs.settings.units import Unit, settings_of
from lsp_keras.validation import InputError, listing

PAPER_STANDARD_EPSILON = "2/255"
# What other units take from the attack in training where they have it too.
BUDGET = ("epsilon", "step_size", "num_steps")
# And what a regularizer takes from the run or its attack.
INHERITED = (*BUDGET, "num_neighbors")


def resolve(config: FitConfig) -> FitConfig:
    """The settings to write down: every default filled in, less what one unit takes from another.

    What a regularizer takes from the attack and the attack from the method is left out, so that
    the file is a recipe whose attack or method can be changed. The folder of the data is absolute,
    since a run may be attacked from another working folder.
    """
    full = in_force(config)
    return replace(
        full,
        data_dir=_absolute(config.data_dir),
        attack=_less(full.attack, config.attack, lambda name: name not in BUDGET),
        method=_less(full.method, config.method, lambda name: name in BUDGET),
        regularizers={
            name: _less(full.regularizers[name], unit, lambda name: name in INHERITED)
            for name, unit in config.regularizers.items()
        },
    )


def _absolute(folder: str | None) -> str | None:
    if folder is None or scheme_of(folder) is not None:
        return folder
    return str(Path(folder).expanduser().absolute())


def in_force(config: FitConfig) -> FitConfig:
    """The settings with every default filled in that depends on another setting.

    Without adversarial training the epoch with the best robust accuracy may be an untrained
    one: a model that gives every image the same class is robust at the share of that class.
    """
    attack = _attack(config)
    attacked = attacks(config)
    augmentation = config.augmentation
    return replace(
        config,
        dataset=config.dataset.with_defaults(),
        augmentation=None if augmentation is None else augmentation.with_defaults(),
        model=config.model.with_defaults(),
        attack=attack,
        method=_method(config, attack),
        regularizers={
            name: unit.with_defaults(num_neighbors=config.num_neighbors, **_budget_of(attack))
            for name, unit in config.regularizers.items()
        },
        validation_epsilon=config.validation_epsilon
        or (str(attack["epsilon"]) if attacked else PAPER_STANDARD_EPSILON),
        select_by=config.select_by or ("robust" if attacked else "clean"),
    )


def attacks(config: FitConfig) -> bool:
    """Whether the run's method trains on adversarial images."""
    return not {"attack", "epsilon"}.isdisjoint(registry.arguments("method", config.method.name))


def helped(config: FitConfig) -> bool:
    """Whether the run's method learns from a frozen helper."""
    return "helper" in registry.arguments("method", config.method.name)


def _attack(config: FitConfig) -> Unit:
    """The attack as the method was published with it, within the run's own budget."""
    method = config.method.name
    published = registry.attribute("method", method, "attack_options") or {}
    _check_published(config, published)
    attack = config.attack.with_defaults(**published)
    if attack.get("step_size", "") is None:
        attack = attack.with_defaults(step_size=_quarter(str(attack["epsilon"])))
    if "attack" in registry.arguments("method", method):
        return attack
    # What the method has of the same name is its own, and follows only what was asked for.
    own = [name for name in BUDGET[1:] if name in settings_of("method", method)]
    return _less(attack, config.attack, lambda name: name in own)


def _check_published(config: FitConfig, published: Mapping[str, Any]) -> None:
    """Raises `InputError` where the attack has no such choice as the method was published with."""
    attack = config.attack
    for name, argument in settings_of("attack", attack.name).items():
        value = attack.given.get(name, published.get(name))
        if name in published and argument.choices and value not in argument.choices:
            having = [
                other
                for other in registry.names("attack")
                if value in getattr(settings_of("attack", other).get(name), "choices", ())
            ]
            raise InputError(
                f"The method {config.method.name} was published with an attack whose {name} is "
                f"{value!r}, which is {' and '.join(having)}'s alone. Choose --attack {having[0]}, "
                f"or say what {attack.name} is to take, {listing(argument.choices)}: --{name} "
                f"{argument.choices[0]}."
            )


def _method(config: FitConfig, attack: Unit) -> Unit:
    asked = {name: config.attack.given.get(name) for name in BUDGET[1:]}
    method = config.method.with_defaults(epsilon=attack["epsilon"], **_without_none(asked))
    if helped(config) and method["helper"] is None:
        return method.with_defaults(helper_epochs=config.epochs)
    return method


def _less(full: Unit, given: Unit, left_out: Callable[[str], bool]) -> Unit:
    """The settings that were given, and of the others those that are not left out."""
    kept = {k: v for k, v in full.given.items() if k in given.given or not left_out(k)}
    return replace(full, given=kept)


def _budget_of(attack: Unit) -> dict[str, Any]:
    """What regularizers take over; their own attacks are bounded in L-inf."""
    if attack["norm"] != "linf":
        return {}
    return _without_none({name: attack.get(name) for name in BUDGET})


def _without_none(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _quarter(epsilon: str) -> str:
    """A quarter of a fraction, as text: `"8/255"` becomes `"2/255"`."""
    numerator, separator, denominator = epsilon.partition("/")
    return f"{float(numerator) / 4:g}{separator}{denominator}"
