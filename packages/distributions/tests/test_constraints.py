"""Test each constraint with a value inside and one outside, its attributes and its repr."""

import pytest

import flambeau as fb
from flambeau.distributions import Normal, constraints

EYE = [[1.0, 0.0], [0.0, 1.0]]
NAN = fb.nan
# constraint, value inside, value outside, is_discrete, event_dim, repr
CASES = [
    (constraints.boolean, 1.0, 0.5, True, 0, "Boolean()"),
    (constraints.one_hot, [0.0, 1.0], [1.0, 1.0], True, 1, "OneHot()"),
    (constraints.nonnegative_integer, 0.0, -1.0, True, 0, "IntegerGreaterThan(lower_bound=0)"),
    (constraints.positive_integer, 1.0, 1.5, True, 0, "IntegerGreaterThan(lower_bound=1)"),
    (constraints._numbers._IntegerLessThan(3), 3.0, 4.0, True, 0, "IntegerLessThan(upper_bound=3)"),
    (constraints.integer_interval(0, 2), 2.0, 0.5, True, 0, "IntegerInterval(lower_bound=0, upper_bound=2)"),
    (constraints.integer_interval(0, 2), 2, 3, True, 0, "IntegerInterval(lower_bound=0, upper_bound=2)"),
    (constraints.real, -5.0, NAN, False, 0, "Real()"),
    (constraints.real_vector, [1.0, 2.0], [1.0, NAN], False, 1, "IndependentConstraint(Real(), 1)"),
    (constraints.positive, 0.1, 0.0, False, 0, "GreaterThan(lower_bound=0.0)"),
    (constraints.positive, 0.1, NAN, False, 0, "GreaterThan(lower_bound=0.0)"),
    (constraints.nonnegative, 0.0, -0.1, False, 0, "GreaterThanEq(lower_bound=0.0)"),
    (constraints.less_than(1.0), 0.9, 1.0, False, 0, "LessThan(upper_bound=1.0)"),
    (constraints.unit_interval, 1.0, 1.1, False, 0, "Interval(lower_bound=0.0, upper_bound=1.0)"),
    (constraints.half_open_interval(0, 1), 0.0, 1.0, False, 0, "HalfOpenInterval(lower_bound=0, upper_bound=1)"),
    (constraints.simplex, [0.2, 0.8], [0.2, 0.7], False, 1, "Simplex()"),
    (constraints.simplex, [0.2, 0.8], [-0.2, 1.2], False, 1, "Simplex()"),
    (constraints.multinomial(3), [1.0, 2.0], [4.0, -1.0], True, 1, "Multinomial()"),
    (constraints.lower_triangular, [[0.0, 0.0], [1.0, 0.0]], [[1.0, 1.0], [1.0, 1.0]], False, 2, "LowerTriangular()"),
    (constraints.lower_cholesky, [[1.0, 0.0], [3.0, 2.0]], [[1.0, 0.0], [3.0, -2.0]], False, 2, "LowerCholesky()"),
    (constraints.corr_cholesky, [[1.0, 0.0], [0.6, 0.8]], [[1.0, 0.0], [0.6, 0.9]], False, 2, "CorrCholesky()"),
    (constraints.square, EYE, [[1.0, 2.0]], False, 2, "Square()"),
    (constraints.symmetric, EYE, [[1.0, 2.0], [0.0, 1.0]], False, 2, "Symmetric()"),
    (constraints.positive_semidefinite, [[0.0, 0.0], [0.0, 1.0]], [[-1.0, 0.0], [0.0, 1.0]], False, 2, None),
    (constraints.positive_definite, EYE, [[1.0, 2.0], [2.0, 1.0]], False, 2, "PositiveDefinite()"),
    (constraints.positive_definite, EYE, [[1.0, 0.5], [0.0, 1.0]], False, 2, "PositiveDefinite()"),
    (constraints.independent(constraints.positive, 2), EYE, None, False, 2, None),
    (constraints.MixtureSameFamilyConstraint(constraints.positive), [1.0], [0.0], False, 0, None),
]


@pytest.mark.parametrize(("constraint", "inside", "outside", "discrete", "event_dim", "text"), CASES)
def test_constraints_accept_values_inside_and_reject_values_outside(
    constraint, inside, outside, discrete, event_dim, text
):
    if constraint.event_dim == 2 and outside is None:  # this matrix has zeros
        assert not constraint.check(fb.tensor(inside))
        assert constraint.check(fb.tensor(inside) + 1)
    else:
        assert constraint.check(fb.tensor(inside)).all()
        assert not constraint.check(fb.tensor(outside)).any()
    assert (constraint.is_discrete, constraint.event_dim) == (discrete, event_dim)
    assert text is None or repr(constraint) == text


@pytest.mark.parametrize(
    ("constraint", "inside", "outside"),
    [case[:3] for case in CASES if case[4] and case[2] and case[0] is not constraints.square],
)
def test_constraints_check_each_event_separately(constraint, inside, outside):
    both = fb.stack([fb.tensor(inside), fb.tensor(outside)])
    assert constraint.check(both).tolist() == [True, False]


def test_cat_and_stack_apply_each_constraint_to_its_part():
    cat = constraints.cat([constraints.real, constraints.positive], dim=1, lengths=[2, 3])
    assert cat.check(fb.tensor([[-1.0, -1.0, -1.0, 1.0, 0.0]])).tolist() == [[True, True, False, True, False]]
    assert (cat.is_discrete, cat.event_dim, repr(cat)) == (False, 0, "Cat()")
    stack = constraints.stack([constraints.boolean, constraints.positive], dim=1)
    assert stack.check(fb.tensor([[1.0, 2.0], [2.0, -1.0]])).tolist() == [[True, True], [False, False]]
    assert stack.is_discrete
    for kind in (constraints.cat, constraints.stack):
        with pytest.raises(AssertionError, match="Constraint instances"):
            kind([3])
    with pytest.raises(AssertionError, match="same length"):
        constraints.cat([constraints.real], lengths=[1, 2])


def test_dependent_constraints_require_an_instance():
    assert constraints.is_dependent(constraints.dependent)
    assert not constraints.is_dependent(constraints.real)
    with pytest.raises(ValueError, match="Cannot determine validity"):
        constraints.dependent.check(fb.tensor(1.0))
    for name in ("is_discrete", "event_dim"):
        with pytest.raises(NotImplementedError, match=f"{name} cannot be determined statically"):
            getattr(constraints.dependent, name)
    assert constraints.dependent(event_dim=2).event_dim == 2

    class Halved:
        scale = 4.0

        @constraints.dependent_property(is_discrete=False, event_dim=0)
        def support(self):
            return constraints.less_than(self.scale / 2)

        @constraints.dependent_property
        def other(self):
            return constraints.real

    assert Halved().support.upper_bound == 2
    assert Halved.support.event_dim == 0 and not Halved.support.is_discrete
    assert constraints.is_dependent(Halved.other) and Halved().other is constraints.real


def test_independent_constraints_check_their_arguments():
    with pytest.raises(ValueError, match=r"Expected value.dim\(\) >= 1 but got 0"):
        constraints.real_vector.check(fb.tensor(1.0))
    with pytest.raises(AssertionError, match="must be an int, got str"):
        constraints.independent(constraints.real, "1")
    with pytest.raises(NotImplementedError):
        constraints.Constraint().check(fb.tensor(1.0))
    assert Normal.support is constraints.real
