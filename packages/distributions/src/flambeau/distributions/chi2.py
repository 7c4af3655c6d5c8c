"""The chi-squared distribution."""

from typing import Any

from flambeau import Tensor

from . import constraints
from .distribution import Shape
from .gamma import Gamma

__all__ = ["Chi2"]


class Chi2(Gamma):
    """Distribution of the sum of ``df`` squared standard normal variables: ``Gamma(df / 2, 1 / 2)``.

    Args:
        df: degrees of freedom, positive, not necessarily an integer.

    >>> Chi2(3.0).mean
    tensor(3.)
    """

    arg_constraints = {"df": constraints.positive}

    def __init__(self, df: Tensor | float, validate_args: bool | None = None) -> None:
        super().__init__(0.5 * df, 0.5, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> "Chi2":
        new: Chi2 = self._get_checked_instance(Chi2, _instance)
        batch_shape = tuple(batch_shape)
        new.concentration, new.rate = self.concentration.expand(batch_shape), self.rate.expand(batch_shape)
        return self._expanded(Chi2, batch_shape, new)

    @property
    def df(self) -> Tensor:
        """The degrees of freedom."""
        return self.concentration * 2
