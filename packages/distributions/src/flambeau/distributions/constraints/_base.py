"""Base class of constraints, and dependent constraints, which depend on the parameters of a distribution."""

from collections.abc import Callable
from typing import Any

from flambeau import Tensor

Bound = Tensor | float


class Constraint:
    """Base class of constraints: sets of values.

    A subclass defines ``check``. The attribute ``is_discrete`` is True if the set contains only isolated values.
    ``event_dim`` is the number of dimensions of one event.

    >>> class Even(Constraint):
    ...     is_discrete = True
    ...
    ...     def check(self, value):
    ...         return value % 2 == 0
    >>> Even().check(fb.arange(3))
    tensor([ True, False,  True])
    """

    is_discrete: Any = False
    event_dim: Any = 0

    def check(self, value: Tensor) -> Tensor:
        """Return whether each event of ``value`` is in the set, as a bool tensor without the event dimensions."""
        raise NotImplementedError(f"{type(self).__name__} does not define check")

    def __repr__(self) -> str:
        arguments = ", ".join(f"{name}={value}" for name, value in self.__dict__.items() if name.endswith("_bound"))
        return f"{type(self).__name__.removeprefix('_')}({arguments})"


class _Dependent(Constraint):
    """Constraint that depends on the parameters of a distribution. Only the instance of the distribution can check it.

    Args:
        is_discrete, event_dim: attributes of the constraint, if they are the same for all instances.

    >>> from flambeau.distributions import Uniform, constraints
    >>> constraints.is_dependent(Uniform.support)
    True
    >>> constraints.dependent(event_dim=1).event_dim
    1
    """

    def __init__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> None:
        self._is_discrete = is_discrete
        self._event_dim = event_dim

    @property
    def is_discrete(self) -> bool:
        if self._is_discrete is NotImplemented:
            raise NotImplementedError(".is_discrete cannot be determined statically")
        return self._is_discrete

    @property
    def event_dim(self) -> int:
        if self._event_dim is NotImplemented:
            raise NotImplementedError(".event_dim cannot be determined statically")
        return self._event_dim

    def __call__(self, *, is_discrete: Any = NotImplemented, event_dim: Any = NotImplemented) -> "_Dependent":
        """Return a copy with the given attributes, for example ``constraints.dependent(event_dim=1)``."""
        return _Dependent(
            is_discrete=self._is_discrete if is_discrete is NotImplemented else is_discrete,
            event_dim=self._event_dim if event_dim is NotImplemented else event_dim,
        )

    def check(self, value: Tensor) -> Tensor:
        raise ValueError("Cannot determine validity of dependent constraint")


def is_dependent(constraint: Any) -> bool:
    """Return True if ``constraint`` depends on the parameters of a distribution, so that only an instance can check it.

    >>> from flambeau.distributions import Normal, Uniform
    >>> is_dependent(Normal.support), is_dependent(Uniform.support), is_dependent(Uniform(0.0, 1.0).support)
    (False, True, False)
    """
    return isinstance(constraint, _Dependent)


class _DependentProperty(property, _Dependent):
    """Property that returns the constraint of an instance. As an attribute of the class, it is a dependent constraint.

    Args:
        fn: the getter, if this class is used as a decorator without arguments.
        is_discrete, event_dim: attributes of the constraint, if they are the same for all instances.

    >>> from flambeau.distributions import constraints
    >>> class Below:
    ...     bound = 2.0
    ...
    ...     @constraints.dependent_property(is_discrete=False, event_dim=0)
    ...     def support(self):
    ...         return constraints.less_than(self.bound)
    >>> Below.support.event_dim, Below().support
    (0, LessThan(upper_bound=2.0))
    """

    def __init__(
        self,
        fn: Callable[..., Any] | None = None,
        *,
        is_discrete: Any = NotImplemented,
        event_dim: Any = NotImplemented,
    ) -> None:
        property.__init__(self, fn)
        _Dependent.__init__(self, is_discrete=is_discrete, event_dim=event_dim)

    def __call__(self, fn: Callable[..., Any]) -> "_DependentProperty":  # type: ignore[override]
        return _DependentProperty(fn, is_discrete=self._is_discrete, event_dim=self._event_dim)
