"""Elementwise constraints."""

from flambeau import Tensor

from ._base import Bound, Constraint


class _Boolean(Constraint):
    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return (value == 0) | (value == 1)


def _is_integer(value: Tensor) -> Tensor:
    return value % 1 == 0


class _IntegerInterval(Constraint):
    """Integers from ``lower_bound`` to ``upper_bound``, inclusive.

    Args:
        lower_bound, upper_bound: numbers, or tensors that broadcast with the values.

    >>> from flambeau.distributions import constraints
    >>> constraints.integer_interval(0, 2).check(fb.tensor([0.0, 1.5, 2.0, 3.0]))
    tensor([ True, False,  True, False])
    """

    is_discrete = True

    def __init__(self, lower_bound: Bound, upper_bound: Bound) -> None:
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        inside = (value >= self.lower_bound) & (value <= self.upper_bound)
        return inside & _is_integer(value) if value.is_floating_point() else inside


class _IntegerLessThan(Constraint):
    """Integers less than or equal to ``upper_bound``."""

    is_discrete = True

    def __init__(self, upper_bound: Bound) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return _is_integer(value) & (value <= self.upper_bound)


class _IntegerGreaterThan(Constraint):
    """Integers greater than or equal to ``lower_bound``."""

    is_discrete = True

    def __init__(self, lower_bound: Bound) -> None:
        self.lower_bound = lower_bound

    def check(self, value: Tensor) -> Tensor:
        return _is_integer(value) & (value >= self.lower_bound)


class _Real(Constraint):
    """All numbers except NaN."""

    def check(self, value: Tensor) -> Tensor:
        return value == value


class _GreaterThan(Constraint):
    """Numbers greater than ``lower_bound``.

    Args:
        lower_bound: a number, or a tensor that broadcasts with the values.

    >>> from flambeau.distributions import constraints
    >>> constraints.greater_than(1.0).check(fb.tensor([0.0, 1.0, 2.0]))
    tensor([False, False,  True])
    """

    def __init__(self, lower_bound: Bound) -> None:
        self.lower_bound = lower_bound

    def check(self, value: Tensor) -> Tensor:
        return value > self.lower_bound


class _GreaterThanEq(Constraint):
    """Numbers greater than or equal to ``lower_bound``.

    Args:
        lower_bound: a number, or a tensor that broadcasts with the values.

    >>> from flambeau.distributions import constraints
    >>> constraints.greater_than_eq(1.0).check(fb.tensor([0.0, 1.0, 2.0]))
    tensor([False,  True,  True])
    """

    def __init__(self, lower_bound: Bound) -> None:
        self.lower_bound = lower_bound

    def check(self, value: Tensor) -> Tensor:
        return value >= self.lower_bound


class _LessThan(Constraint):
    """Numbers less than ``upper_bound``.

    Args:
        upper_bound: a number, or a tensor that broadcasts with the values.

    >>> from flambeau.distributions import constraints
    >>> constraints.less_than(1.0).check(fb.tensor([0.0, 1.0, 2.0]))
    tensor([ True, False, False])
    """

    def __init__(self, upper_bound: Bound) -> None:
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return value < self.upper_bound


class _Interval(Constraint):
    """Numbers from ``lower_bound`` to ``upper_bound``, inclusive.

    Args:
        lower_bound, upper_bound: numbers, or tensors that broadcast with the values.

    >>> from flambeau.distributions import constraints
    >>> constraints.interval(0.0, 1.0).check(fb.tensor([-1.0, 0.0, 1.0]))
    tensor([False,  True,  True])
    """

    def __init__(self, lower_bound: Bound, upper_bound: Bound) -> None:
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return (value >= self.lower_bound) & (value <= self.upper_bound)


class _HalfOpenInterval(Constraint):
    """Numbers from ``lower_bound``, inclusive, to ``upper_bound``, exclusive.

    Args:
        lower_bound, upper_bound: numbers, or tensors that broadcast with the values.

    >>> from flambeau.distributions import constraints
    >>> constraints.half_open_interval(0.0, 1.0).check(fb.tensor([-1.0, 0.0, 1.0]))
    tensor([False,  True, False])
    """

    def __init__(self, lower_bound: Bound, upper_bound: Bound) -> None:
        self.lower_bound = lower_bound
        self.upper_bound = upper_bound

    def check(self, value: Tensor) -> Tensor:
        return (value >= self.lower_bound) & (value < self.upper_bound)
