"""Conversion of all parameters to one vector and back, for optimizers that expect a single vector."""

from __future__ import annotations

from collections.abc import Iterable

from flambeau import Tensor, cat

from ._tensors import listed

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """Concatenate the elements of all parameters to one vector.

    >>> tuple(nn.utils.parameters_to_vector(nn.Linear(2, 3).parameters()).shape)
    (9,)
    """
    return cat([parameter.reshape(-1) for parameter in listed("parameters_to_vector", parameters)])


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Set the parameters to the values in ``vec``. They become views of ``vec``.

    Raises: TypeError if ``vec`` is not a Tensor; ValueError for a wrong number of elements. The parameters are then
        unchanged.

    >>> weight = fb.zeros(2, 2)
    >>> nn.utils.vector_to_parameters(fb.arange(4.0), [weight])
    >>> weight
    tensor([[0., 1.],
            [2., 3.]])
    """
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected vec to be a Tensor, but got: {type(vec).__name__}")
    targets = listed("vector_to_parameters", parameters)
    needed = sum(parameter.numel() for parameter in targets)
    if needed != vec.numel():
        raise ValueError(f"the parameters have {needed} elements, but the vector has {vec.numel()}")
    start = 0
    for parameter in targets:
        stop = start + parameter.numel()
        parameter.data = vec[start:stop].reshape(parameter.shape).detach()
        start = stop
