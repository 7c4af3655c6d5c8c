"""Base class of transforms, and their inverses."""

import weakref
from collections.abc import Sequence
from typing import Any

from flambeau import Tensor

from .. import constraints


class Transform:
    """Base class of functions of tensors that have an inverse and ``log_abs_det_jacobian``.

    If a transform is not bijective, ``inv`` maps an output to one of the inputs that give this output.

    A subclass sets ``domain``, ``codomain``, ``bijective`` and, for monotone functions of numbers, ``sign`` (the sign
    of the slope). It defines ``_call``, ``_inverse`` and ``log_abs_det_jacobian(x, y)``. If its ``__init__`` has
    arguments, it also defines ``with_cache``.

    Args:
        cache_size: 1 stores the last input and output, so that the inverse of this output is exact and needs no
            computation. 0 disables the cache.

    >>> from flambeau.distributions import Transform, constraints
    >>> class Double(Transform):
    ...     domain = codomain = constraints.real
    ...     bijective, sign = True, 1
    ...
    ...     def _call(self, x):
    ...         return 2 * x
    ...
    ...     def _inverse(self, y):
    ...         return y / 2
    >>> Double()(fb.tensor(3.0)), Double().inv(fb.tensor(6.0))
    (tensor(6.), tensor(3.))
    """

    bijective: Any = False
    domain: constraints.Constraint
    codomain: constraints.Constraint

    def __init__(self, cache_size: int = 0) -> None:
        if cache_size not in (0, 1):
            raise ValueError(f"cache_size must be 0 or 1, got {cache_size}")
        self._cache_size = cache_size
        self._inv: Any = None
        self._cached_x_y: tuple[Any, Any] = None, None
        super().__init__()  # a subclass can have a second base class, for example Module

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_inv": None}

    @property
    def event_dim(self) -> int:
        """The number of dimensions of one event, if it is the same for inputs and outputs."""
        if self.domain.event_dim == self.codomain.event_dim:
            return self.domain.event_dim
        raise ValueError("Please use either .domain.event_dim or .codomain.event_dim")

    @property
    def inv(self) -> "Transform":
        """The inverse transform. ``t.inv.inv is t`` is true."""
        inverse = self._inv and self._inv()
        if inverse is None:
            inverse = _InverseTransform(self)
            self._inv = weakref.ref(inverse)
        return inverse

    @property
    def sign(self) -> Tensor | int:
        """The sign of the slope: 1 for an increasing function of numbers, -1 for a decreasing function."""
        raise NotImplementedError(f"{type(self).__name__} does not define its sign")

    def with_cache(self, cache_size: int = 1) -> "Transform":
        """Return the transform with the given cache size."""
        if self._cache_size == cache_size:
            return self
        if type(self).__init__ is Transform.__init__:
            return type(self)(cache_size=cache_size)
        raise NotImplementedError(f"{type(self).__name__}.with_cache is not implemented")

    def __eq__(self, other: object) -> bool:
        return self is other

    __hash__ = None  # type: ignore[assignment]  # __eq__ of subclasses compares parameters, which are tensors

    def __call__(self, x: Tensor) -> Tensor:
        if self._cache_size == 0:
            return self._call(x)
        known, y = self._cached_x_y
        if x is not known:
            y = self._call(x)
            self._cached_x_y = x, y
        return y

    def _inv_call(self, y: Tensor) -> Tensor:
        if self._cache_size == 0:
            return self._inverse(y)
        x, known = self._cached_x_y
        if y is not known:
            x = self._inverse(y)
            self._cached_x_y = x, y
        return x

    def _call(self, x: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not define _call")

    def _inverse(self, y: Tensor) -> Tensor:
        raise NotImplementedError(f"{type(self).__name__} does not define _inverse")

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        """Return ``log |det dy/dx|`` for each event. A subclass can use ``x`` or ``y``, whichever is cheaper."""
        raise NotImplementedError(f"{type(self).__name__} does not define log_abs_det_jacobian")

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        """Return the shape of the output for an input of the given shape."""
        return shape

    def inverse_shape(self, shape: Sequence[int]) -> Sequence[int]:
        """Return the shape of the input for an output of the given shape."""
        return shape

    def __repr__(self) -> str:
        return type(self).__name__ + "()"


class Parameterless(Transform):
    """Base class of transforms without parameters. All instances of a subclass are equal."""

    __hash__ = None

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self)


class _InverseTransform(Transform):
    """The inverse of a transform. The inverse keeps a reference to the transform."""

    __hash__ = None

    def __init__(self, transform: Transform) -> None:
        super().__init__(cache_size=transform._cache_size)
        self._inv = transform

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__

    @constraints.dependent_property
    def domain(self) -> constraints.Constraint:
        return self._inv.codomain

    @constraints.dependent_property
    def codomain(self) -> constraints.Constraint:
        return self._inv.domain

    @property
    def bijective(self) -> bool:
        return self._inv.bijective

    @property
    def sign(self) -> Tensor | int:
        return self._inv.sign

    @property
    def inv(self) -> Transform:
        return self._inv

    def with_cache(self, cache_size: int = 1) -> Transform:
        return self.inv.with_cache(cache_size).inv

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _InverseTransform) and self._inv == other._inv

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._inv!r})"

    def __call__(self, x: Tensor) -> Tensor:
        return self._inv._inv_call(x)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -self._inv.log_abs_det_jacobian(y, x)

    def forward_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return self._inv.inverse_shape(shape)

    def inverse_shape(self, shape: Sequence[int]) -> Sequence[int]:
        return self._inv.forward_shape(shape)
