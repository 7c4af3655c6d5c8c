"""Operators that take tensors as sets of elements."""

from flambeau import _core
from flambeau._core import Tensor
from flambeau._operator import operator


@operator(out=True)
def isin(
    elements: Tensor | float, test_elements: Tensor | float, *, assume_unique: bool = False, invert: bool = False
) -> Tensor:
    """Whether each element is among the test elements (with ``invert``: is not); either may be a number.

    ``assume_unique`` is taken and makes no difference. Raises RuntimeError for booleans. Not differentiable.

    >>> import flambeau
    >>> flambeau.isin(flambeau.tensor([1, 2, 3]), flambeau.tensor([2, 3]))
    tensor([False,  True,  True])
    """
    if not isinstance(elements, Tensor) and not isinstance(test_elements, Tensor):
        raise TypeError(
            "isin(): argument 'test_elements' (position 2) must be Tensor where 'elements' is a number, not "
            f"{type(test_elements).__name__}"
        )
    if not isinstance(test_elements, Tensor):
        if not isinstance(test_elements, int | float | complex):
            kind = type(test_elements).__name__
            raise TypeError(f"isin(): argument 'test_elements' (position 2) must be Tensor or Number, not {kind}")
        return elements != test_elements if invert else elements == test_elements
    if not isinstance(elements, Tensor):
        elements = _core.tensor(elements)
    for tensor in (elements, test_elements):
        if tensor.dtype is _core.bool:
            raise RuntimeError("Unsupported input type encountered for isin(): bool")
    dtype = _core.promote_types(elements.dtype, test_elements.dtype)
    elements, ordered = elements.detach().to(dtype), test_elements.detach().to(dtype).reshape(-1).sort().values
    if dtype.is_floating_point:  # NaN is equal to nothing
        ordered = ordered[ordered == ordered]
    if ordered.numel() == 0:
        return _core.full(elements.shape, invert, dtype=_core.bool)
    places = _core.searchsorted(ordered, elements).clamp(max=ordered.numel() - 1)
    found = ordered[places]
    return elements != found if invert else elements == found
