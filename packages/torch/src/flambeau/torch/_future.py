"""Options of ``torch.__future__`` for conversions of modules. Only the defaults are supported."""

__all__ = [
    "get_overwrite_module_params_on_conversion",
    "get_swap_module_params_on_conversion",
    "set_overwrite_module_params_on_conversion",
    "set_swap_module_params_on_conversion",
]


def get_overwrite_module_params_on_conversion() -> bool:
    """Return False: conversions of modules change the data of parameters and do not replace the parameters."""
    return False


def set_overwrite_module_params_on_conversion(value: bool) -> None:
    """Do nothing if ``value`` is False. Raises: NotImplementedError for True: conversions do not replace parameters."""
    if value:
        raise NotImplementedError(
            "set_overwrite_module_params_on_conversion(True) is not supported: conversions of modules change the data "
            "of parameters"
        )


def get_swap_module_params_on_conversion() -> bool:
    """Return False: conversions of modules do not swap parameters."""
    return False


def set_swap_module_params_on_conversion(value: bool) -> None:
    """Do nothing if ``value`` is False. Raises: NotImplementedError for True: conversions do not swap parameters."""
    if value:
        raise NotImplementedError(
            "set_swap_module_params_on_conversion(True) is not supported: conversions of modules change the data of "
            "parameters"
        )
