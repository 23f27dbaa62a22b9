"""What a training method takes, read off its constructor, and the settings made for it."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from lsp_keras import registry
from lsp_keras.attacks.pgd import PGD
from lsp_keras.runs.config import FitConfig
from lsp_keras.validation import InputError

# Settings that are a constructor's argument of the same name, in some methods only.
_NUMBERS = ("beta", "gamma")
_HELPER_SETTINGS = ("helper", "helper_epochs")


def attacks(config: FitConfig) -> bool:
    """Whether the run's method trains on adversarial images."""
    return not {"attack", "epsilon"}.isdisjoint(_parameters(config.resolved_method))


def helped(config: FitConfig) -> bool:
    """Whether the run's method learns from a frozen helper."""
    return "helper" in _parameters(config.resolved_method)


def remembers(config: FitConfig) -> bool:
    """Whether the run's method remembers something of each training image."""
    return "num_images" in _parameters(config.resolved_method)


def resolve_method(config: FitConfig) -> FitConfig:
    """The settings with the method's own defaults filled in.

    Raises:
        InputError: A setting is given that the method has not.
    """
    parameters = _parameters(config.resolved_method)
    for name in _NUMBERS:
        _refuse_unknown(config, name, argument=name)
    for name in _HELPER_SETTINGS:
        _refuse_unknown(config, name, argument="helper")
    defaults: dict[str, Any] = {
        name: float(parameters[name].default)
        for name in _NUMBERS
        if name in parameters and getattr(config, name) is None
    }
    if helped(config) and config.helper is None:
        defaults["helper_epochs"] = config.helper_epochs or config.epochs
    return replace(config, method=config.resolved_method, **defaults)


def method_arguments(config: FitConfig) -> dict[str, Any]:
    """The constructor's arguments that are made from resolved settings; a helper is not."""
    parameters = _parameters(config.resolved_method)
    arguments: dict[str, Any] = {
        name: getattr(config, name) for name in _NUMBERS if name in parameters
    }
    if "epsilon" in parameters:
        arguments["epsilon"] = config.epsilon
    if "attack" in parameters:
        method = registry.get("method", config.resolved_method)
        arguments["attack"] = PGD(
            epsilon=config.epsilon,
            step_size=config.attack_step_size,
            num_steps=config.attack_steps,
            **method.attack_options,
        )
    return arguments


def _parameters(method: str) -> Mapping[str, inspect.Parameter]:
    return inspect.signature(registry.get("method", method)).parameters


def _refuse_unknown(config: FitConfig, name: str, *, argument: str) -> None:
    value = getattr(config, name)
    if value is None or argument in _parameters(config.resolved_method):
        return
    methods = [item for item in registry.names("method") if argument in _parameters(item)]
    raise InputError(
        f"`{name}` is no setting of the method {config.resolved_method}. Received: "
        f"{name}={value}. Methods that have it: {', '.join(methods)}."
    )
