"""The switches of ``torch.__future__`` for conversions of modules: flambeau has the default only."""

__all__ = [
    "get_overwrite_module_params_on_conversion",
    "get_swap_module_params_on_conversion",
    "set_overwrite_module_params_on_conversion",
    "set_swap_module_params_on_conversion",
]


def get_overwrite_module_params_on_conversion() -> bool:
    """Return whether conversions of modules replace parameters instead of their data: False."""
    return False


def set_overwrite_module_params_on_conversion(value: bool) -> None:
    """Choose whether conversions of modules replace parameters. Raises: NotImplementedError for True."""
    if value:
        raise NotImplementedError("conversions of modules change the data of parameters and do not replace them")


def get_swap_module_params_on_conversion() -> bool:
    """Return whether conversions of modules swap parameters for the converted ones: False."""
    return False


def set_swap_module_params_on_conversion(value: bool) -> None:
    """Choose whether conversions of modules swap parameters. Raises: NotImplementedError for True."""
    if value:
        raise NotImplementedError("conversions of modules change the data of parameters and do not swap them")
