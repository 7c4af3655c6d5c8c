"""Options of module conversions that PyTorch may make the default in the future."""

__all__ = [
    "get_overwrite_module_params_on_conversion",
    "get_swap_module_params_on_conversion",
    "set_overwrite_module_params_on_conversion",
    "set_swap_module_params_on_conversion",
]

_overwrite_module_params_on_conversion = False
_swap_module_params_on_conversion = False


def get_overwrite_module_params_on_conversion() -> bool:
    """Return the value set by `set_overwrite_module_params_on_conversion`."""
    return _overwrite_module_params_on_conversion


def set_overwrite_module_params_on_conversion(value: bool) -> None:
    """Set whether conversions such as ``module.double()`` assign new parameters to the module. The default is False.

    By default, a conversion changes the data of the existing parameters.

    >>> fb.__future__.set_overwrite_module_params_on_conversion(True)
    >>> layer = nn.Linear(2, 2)
    >>> weight = layer.weight
    >>> layer.double().weight is weight
    False
    >>> fb.__future__.set_overwrite_module_params_on_conversion(False)
    """
    global _overwrite_module_params_on_conversion
    _overwrite_module_params_on_conversion = value


def get_swap_module_params_on_conversion() -> bool:
    """Return the value set by `set_swap_module_params_on_conversion`."""
    return _swap_module_params_on_conversion


def set_swap_module_params_on_conversion(value: bool) -> None:
    """Set whether modules change parameters with `flambeau.utils.swap_tensors`. The default is False.

    If True, conversions such as ``module.double()`` swap each parameter with its converted value, and
    ``load_state_dict`` swaps each parameter and buffer with the result of its method ``module_load``. This takes
    precedence over `set_overwrite_module_params_on_conversion`.

    >>> fb.__future__.set_swap_module_params_on_conversion(True)
    >>> layer = nn.Linear(2, 2)
    >>> weight = layer.weight
    >>> layer.double().weight is weight, weight.dtype
    (True, flambeau.float64)
    >>> fb.__future__.set_swap_module_params_on_conversion(False)
    """
    global _swap_module_params_on_conversion
    _swap_module_params_on_conversion = value
