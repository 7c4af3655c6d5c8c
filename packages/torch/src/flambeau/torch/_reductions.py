"""Functions of ``torch.nn._reduction``, which convert the arguments of losses to those of PyTorch's operators."""

from flambeau.nn.functional._reduction import chosen, deprecated_reduction as legacy_get_string

__all__ = ["get_enum", "legacy_get_enum", "legacy_get_string"]

_NUMBERS = {"none": 0, "mean": 1, "sum": 2}


def get_enum(reduction: str) -> int:
    """Return 0 for ``"none"``, 1 for ``"mean"`` and 2 for ``"sum"``. Raises ValueError for other names."""
    return _NUMBERS[chosen(reduction)]


def legacy_get_enum(size_average: bool | None, reduce: bool | None, emit_warning: bool = True) -> int:
    """Return the number of the reduction for the deprecated arguments of losses."""
    return get_enum(legacy_get_string(size_average, reduce, emit_warning))
