"""Base class of all distributions."""

import warnings
from typing import Any, TypeVar

from flambeau import Size, Tensor, no_grad
from flambeau._operators.queries import _holds

from .constraints import Constraint, _Dependent
from .utils import lazy_property

__all__ = ["Distribution"]

D = TypeVar("D", bound="Distribution")
Shape = tuple[int, ...] | list[int]

_NO_CONSTRAINTS = (
    "{} does not define `arg_constraints`. Please set `arg_constraints = {{}}` or initialize the distribution with "
    "`validate_args=False` to turn off validation."
)
_NO_SUPPORT = (
    "{} does not define `support` to enable sample validation. Please initialize the distribution with "
    "`validate_args=False` to turn off validation."
)
_NO_EXPAND = "Subclass {} of {} that defines a custom __init__ method must also define a custom .expand() method."


class Distribution:
    """Base class of distributions.

    A subclass sets its parameters and calls ``super().__init__`` with its shapes. It defines ``arg_constraints``,
    ``support``, ``expand``, ``sample`` or ``rsample`` (with ``has_rsample = True``), and ``log_prob``. If formulas are
    known, it also defines ``mean``, ``mode``, ``variance``, ``cdf``, ``icdf``, ``entropy`` and ``enumerate_support``.

    Args:
        batch_shape: shape of the parameters. Each element is an independent distribution.
        event_shape: shape of a single draw.
        validate_args: if True, check parameters and values against their constraints. None selects the default of
            ``set_default_validate_args``.
    Raises: ValueError if a parameter violates its constraint. The message contains the name and value of the parameter.

    >>> from flambeau.distributions import Distribution, constraints
    >>> class Dirac(Distribution):
    ...     arg_constraints = {"value": constraints.real}
    ...
    ...     def __init__(self, value):
    ...         self.value = value
    ...         super().__init__(value.shape)
    ...
    ...     def sample(self, sample_shape=()):
    ...         return self.value.expand(*sample_shape, *self.batch_shape)
    >>> Dirac(fb.tensor([1.0, 2.0])).sample((2,))
    tensor([[1., 2.],
            [1., 2.]])
    """

    has_rsample: Any = False
    has_enumerate_support: Any = False
    _validate_args = __debug__

    _batch_shape: Size
    _event_shape: Size

    @staticmethod
    def set_default_validate_args(value: bool) -> None:
        """Set whether distributions check their parameters and values if ``validate_args`` is None."""
        if value not in (True, False):
            raise ValueError(f"set_default_validate_args takes True or False, got {value!r}")
        Distribution._validate_args = value

    def __init__(
        self, batch_shape: Shape = Size(), event_shape: Shape = Size(), validate_args: bool | None = None
    ) -> None:
        self._batch_shape = batch_shape if isinstance(batch_shape, Size) else Size(batch_shape)
        self._event_shape = event_shape if isinstance(event_shape, Size) else Size(event_shape)
        if validate_args is not None:
            self._validate_args = validate_args
        if self._validate_args:
            self._validate_parameters()

    def _validate_parameters(self) -> None:
        """Raise ValueError if a parameter violates its constraint in ``arg_constraints``."""
        try:
            constraints = self.arg_constraints
        except NotImplementedError:
            warnings.warn(_NO_CONSTRAINTS.format(type(self)), stacklevel=4)
            return
        given = self.__dict__
        for name, constraint in constraints.items():
            if name in given:
                value = given[name]
            elif isinstance(constraint, _Dependent) or isinstance(getattr(type(self), name, None), lazy_property):
                continue  # the parameter is computed from other parameters
            else:
                value = getattr(self, name)
            if not isinstance(constraint, _Dependent) and not _holds(constraint.check(value)):
                raise ValueError(
                    f"Expected parameter {name} ({type(value).__name__} of shape {tuple(value.shape)}) of distribution "
                    f"{self!r} to satisfy the constraint {constraint!r}, but found invalid values:\n{value}"
                )

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Distribution":
        """Return the distribution with its parameters broadcast to ``batch_shape``, without a copy."""
        raise NotImplementedError(f"{type(self).__name__} does not implement expand")

    @property
    def batch_shape(self) -> Size:
        """Shape of the parameters."""
        return self._batch_shape

    @property
    def event_shape(self) -> Size:
        """Shape of a single draw."""
        return self._event_shape

    @property
    def arg_constraints(self) -> dict[str, Constraint]:
        """The constraints of the parameters by name."""
        raise NotImplementedError(f"{type(self).__name__} does not define arg_constraints")

    @property
    def support(self) -> Any:
        """The constraint that samples satisfy."""
        raise NotImplementedError(f"{type(self).__name__} does not define its support")

    @property
    def mean(self) -> Tensor:
        """The expectation."""
        raise NotImplementedError(f"{type(self).__name__} does not implement mean")

    @property
    def mode(self) -> Tensor:
        """The most likely value."""
        raise NotImplementedError(f"{type(self).__name__} does not implement mode")

    @property
    def variance(self) -> Tensor:
        """The expected squared deviation from the mean."""
        raise NotImplementedError(f"{type(self).__name__} does not implement variance")

    @property
    def stddev(self) -> Tensor:
        """The square root of the variance."""
        return self.variance.sqrt()

    def sample(self, sample_shape: Shape = Size()) -> Tensor:
        """Draw samples without gradient, of shape ``sample_shape + batch_shape + event_shape``."""
        if type(self).rsample is Distribution.rsample:
            raise NotImplementedError(f"{type(self).__name__} defines neither sample() nor rsample()")
        with no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Shape = Size()) -> Tensor:
        """Draw differentiable samples of shape ``sample_shape + batch_shape + event_shape``.

        Gradients flow from the samples to the parameters.
        """
        raise NotImplementedError(f"{type(self).__name__} has no reparameterised samples")

    def sample_n(self, n: int) -> Tensor:
        """Return ``sample((n,))``."""
        warnings.warn("`sample_n(n)` will be deprecated. Use `sample((n,))` instead.", FutureWarning, stacklevel=2)
        return self.sample((n,))

    def log_prob(self, value: Tensor) -> Tensor:
        """Return the log density or log probability of ``value``, which broadcasts with the distribution."""
        raise NotImplementedError(f"{type(self).__name__} does not implement log_prob")

    def cdf(self, value: Tensor) -> Tensor:
        """Return the probability that a sample is at most ``value``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement cdf")

    def icdf(self, value: Tensor) -> Tensor:
        """Return the quantiles for the probabilities ``value``: the inverse of ``cdf``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement icdf")

    def enumerate_support(self, expand: bool = True) -> Tensor:
        """Return all values of a discrete distribution along dimension 0. If ``expand``, repeat them over the batch."""
        raise NotImplementedError(f"{type(self).__name__} does not enumerate its support")

    def entropy(self) -> Tensor:
        """Return the expected value of ``-log_prob``, in nats, with shape ``batch_shape``."""
        raise NotImplementedError(f"{type(self).__name__} does not implement entropy")

    def perplexity(self) -> Tensor:
        """Return ``exp(entropy())``."""
        return self.entropy().exp()

    def _extended_shape(self, sample_shape: Shape = Size()) -> Size:
        """Return the shape of a sample: ``sample_shape + batch_shape + event_shape``."""
        if not isinstance(sample_shape, Size):
            sample_shape = Size(sample_shape)
        return sample_shape + self._batch_shape + self._event_shape

    def _validate_sample(self, value: Tensor) -> None:
        """Raise ValueError if ``value`` is outside the support or does not broadcast with the distribution's shape."""
        if not isinstance(value, Tensor):
            raise ValueError(f"The value argument to log_prob must be a Tensor, got {type(value).__name__}")
        if value.shape != self._batch_shape + self._event_shape:
            self._validate_shape(value)
        try:
            support = self.support
        except NotImplementedError:
            warnings.warn(_NO_SUPPORT.format(type(self)), stacklevel=4)
            return
        if not _holds(support.check(value)):
            raise ValueError(
                f"Expected value argument ({type(value).__name__} of shape {tuple(value.shape)}) to be within the "
                f"support ({support!r}) of the distribution {self!r}, but found invalid values:\n{value}"
            )

    def _validate_shape(self, value: Tensor) -> None:
        start = value.dim() - len(self._event_shape)
        if start < 0 or value.shape[start:] != self._event_shape:
            raise ValueError(
                f"The right-most size of value must match event_shape: {value.shape} vs {self._event_shape}."
            )
        expected = self._batch_shape + self._event_shape
        for i, j in zip(reversed(value.shape), reversed(expected), strict=False):
            if i not in (1, j) and j != 1:
                raise ValueError(
                    f"Value is not broadcastable with batch_shape+event_shape: {value.shape} vs {expected}."
                )

    def _get_checked_instance(self, cls: type[D], _instance: Any = None) -> D:
        """Return the object that ``expand`` fills: ``_instance``, or a new object without attributes.

        Raises: NotImplementedError if a subclass defines ``__init__`` but not ``expand``.
        """
        if _instance is None and type(self).__init__ != cls.__init__:
            raise NotImplementedError(_NO_EXPAND.format(type(self).__name__, cls.__name__))
        made: Any = object.__new__(type(self)) if _instance is None else _instance
        return made

    def _expanded(self, cls: type[D], batch_shape: Shape, _instance: Any) -> D:
        """Implement ``expand`` for a class ``cls`` that has no state except the parameters in ``arg_constraints``."""
        new = self._get_checked_instance(cls, _instance)
        batch_shape = Size(batch_shape)
        declared: Any = cls.arg_constraints
        constraints = declared.__get__(self) if isinstance(declared, property) else declared
        for name, constraint in constraints.items():
            value = self.__dict__.get(name)
            if value is not None:
                event = value.shape[value.dim() - constraint.event_dim :]
                new.__dict__[name] = value.expand(batch_shape + event)
        Distribution.__init__(new, batch_shape, self._event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def __repr__(self) -> str:
        shown = []
        for name in self.arg_constraints:
            value = self.__dict__.get(name)
            if value is not None:
                shown.append(f"{name}: {value if value.numel() == 1 else value.shape}")
        return f"{type(self).__name__}({', '.join(shown)})"
