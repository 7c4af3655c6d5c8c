"""Composite constraints."""

from collections.abc import Sequence

import flambeau as fb
from flambeau import Tensor

from ._base import Constraint


class _IndependentConstraint(Constraint):
    """Constraint that an event satisfies if all elements of the event satisfy ``base_constraint``.

    Args:
        base_constraint: constraint of the elements.
        reinterpreted_batch_ndims: number of batch dimensions that become event dimensions.
    Raises: ValueError in ``check`` if the value has fewer dimensions than ``event_dim``.

    >>> from flambeau.distributions import constraints
    >>> constraints.independent(constraints.positive, 1).check(fb.tensor([[1.0, 2.0], [-1.0, 2.0]]))
    tensor([ True, False])
    """

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        if not isinstance(reinterpreted_batch_ndims, int):
            raise AssertionError(
                f"reinterpreted_batch_ndims must be an int, got {type(reinterpreted_batch_ndims).__name__}"
            )
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims

    @property
    def is_discrete(self) -> bool:
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:
        return self.base_constraint.event_dim + self.reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Tensor:
        result = self.base_constraint.check(value)
        if result.dim() < self.reinterpreted_batch_ndims:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.dim()}")
        if self.reinterpreted_batch_ndims == 0:
            return result
        return result.all(tuple(range(-self.reinterpreted_batch_ndims, 0)))

    def __repr__(self) -> str:
        return f"IndependentConstraint({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


class MixtureSameFamilyConstraint(Constraint):
    """Support of a mixture: the values that are in the supports of all components.

    Args:
        base_constraint: the support of the components. The last batch dimension contains the components.

    >>> from flambeau.distributions import constraints
    >>> components = constraints.less_than(fb.tensor([1.0, 3.0]))
    >>> MixtureSameFamilyConstraint(components).check(fb.tensor([0.0, 2.0]))
    tensor([ True, False])
    """

    def __init__(self, base_constraint: Constraint) -> None:
        if not isinstance(base_constraint, Constraint):
            raise AssertionError(f"base_constraint must be a Constraint, got {type(base_constraint).__name__}")
        self.base_constraint = base_constraint

    @property
    def is_discrete(self) -> bool:
        return self.base_constraint.is_discrete

    @property
    def event_dim(self) -> int:
        return self.base_constraint.event_dim

    def check(self, value: Tensor) -> Tensor:
        return self.base_constraint.check(value.unsqueeze(-1 - self.event_dim)).all(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamilyConstraint({self.base_constraint!r})"


class _Joint(Constraint):
    """Base class of constraints that combine separate constraints of the slices of a tensor along ``dim``."""

    def __init__(self, cseq: Sequence[Constraint], dim: int) -> None:
        if not all(isinstance(constraint, Constraint) for constraint in cseq):
            raise AssertionError("All elements of cseq must be Constraint instances")
        self.cseq = list(cseq)
        self.dim = dim

    @property
    def is_discrete(self) -> bool:
        return any(constraint.is_discrete for constraint in self.cseq)


class _Cat(_Joint):
    """Constraint of a tensor whose consecutive parts along ``dim`` have separate constraints.

    Args:
        cseq: the constraint of each part.
        dim: dimension along which the parts are concatenated.
        lengths: size of each part along ``dim``; 1 by default.
    Raises: AssertionError if an element of ``cseq`` is not a Constraint, or if ``lengths`` has another length.

    >>> from flambeau.distributions import constraints
    >>> parts = constraints.cat([constraints.positive, constraints.real], lengths=[1, 2])
    >>> parts.check(fb.tensor([-1.0, -1.0, -1.0]))
    tensor([False,  True,  True])
    """

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0, lengths: Sequence[int] | None = None) -> None:
        super().__init__(cseq, dim)
        self.lengths = [1] * len(self.cseq) if lengths is None else list(lengths)
        if len(self.lengths) != len(self.cseq):
            raise AssertionError(
                f"cseq and lengths must have the same length, got {len(self.cseq)} and {len(self.lengths)}"
            )

    @property
    def event_dim(self) -> int:
        return max(constraint.event_dim for constraint in self.cseq)

    def check(self, value: Tensor) -> Tensor:
        checks, start = [], 0
        for constraint, length in zip(self.cseq, self.lengths, strict=True):
            checks.append(constraint.check(value.narrow(self.dim, start, length)))
            start += length
        return fb.cat(checks, self.dim)


class _Stack(_Joint):
    """Constraint of a tensor whose slices along ``dim`` have separate constraints.

    Args:
        cseq: the constraint of each slice.
        dim: dimension along which the slices are stacked.
    Raises: AssertionError if an element of ``cseq`` is not a Constraint.

    >>> from flambeau.distributions import constraints
    >>> constraints.stack([constraints.positive, constraints.real]).check(fb.tensor([-1.0, -1.0]))
    tensor([False,  True])
    """

    def __init__(self, cseq: Sequence[Constraint], dim: int = 0) -> None:
        super().__init__(cseq, dim)

    @property
    def event_dim(self) -> int:
        dim = max(constraint.event_dim for constraint in self.cseq)
        return dim + 1 if self.dim + dim < 0 else dim

    def check(self, value: Tensor) -> Tensor:
        slices = [value.select(self.dim, i) for i in range(value.size(self.dim))]
        return fb.stack([c.check(v) for c, v in zip(self.cseq, slices, strict=False)], self.dim)
