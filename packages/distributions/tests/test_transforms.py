"""Test transforms (inverses, Jacobians against automatic differentiation, shapes) and the registries of transforms."""

import pickle

import numpy as np
import pytest

import flambeau as fb
from flambeau import distributions as D
from flambeau.autograd.functional import jacobian
from flambeau.distributions import biject_to, constraints, transform_to


def number(value):
    return fb.tensor(value, dtype=fb.float64)


VECTOR = number([0.3, -1.2, 0.8, 2.0, -0.4, 0.1])
POSITIVE = VECTOR.exp()
# Transform, and an input that is a single event.
CASES = {
    "abs": (D.AbsTransform(), POSITIVE[0]),
    "affine": (D.AffineTransform(1.0, -2.0), VECTOR[0]),
    "affine vector": (D.AffineTransform(number([1.0, 2.0]), number([3.0, -0.5]), event_dim=1), VECTOR[:2]),
    "cat": (D.CatTransform([D.ExpTransform(), D.TanhTransform()], lengths=[1, 2]), VECTOR[:3]),
    "compose": (D.ComposeTransform([D.AffineTransform(0.5, 2.0), D.TanhTransform(), D.ExpTransform()]), VECTOR[0]),
    "compose vector": (D.ComposeTransform([D.ExpTransform(), D.StickBreakingTransform()]), VECTOR[:3]),
    "corr": (D.CorrCholeskyTransform(), VECTOR),
    "cdf": (D.CumulativeDistributionTransform(D.Normal(number(0.5), number(2.0))), VECTOR[0]),
    "exp": (D.ExpTransform(), VECTOR[0]),
    "identity": (D.identity_transform, VECTOR[0]),
    "independent": (D.IndependentTransform(D.ExpTransform(), 1), VECTOR[:3]),
    "cholesky": (D.LowerCholeskyTransform(), VECTOR[:4].reshape(2, 2).tril()),
    "positive definite": (D.PositiveDefiniteTransform(), VECTOR[:4].reshape(2, 2).tril()),
    "power": (D.PowerTransform(number(2.5)), POSITIVE[0]),
    "power down": (D.PowerTransform(number(-1.0)), POSITIVE[0]),
    "reshape": (D.ReshapeTransform((2, 3), (6,)), VECTOR.reshape(2, 3)),
    "sigmoid": (D.SigmoidTransform(), VECTOR[0]),
    "softplus": (D.SoftplusTransform(), VECTOR[0]),
    "softmax": (D.SoftmaxTransform(), VECTOR.log_softmax(-1)),
    "stack": (D.StackTransform([D.ExpTransform(), D.AffineTransform(1.0, 2.0)]), VECTOR[:2]),
    "stick": (D.StickBreakingTransform(), VECTOR[:4]),
    "tanh": (D.TanhTransform(), VECTOR[0]),
}
CASES |= {f"inverse {name}": (t.inv, t(x)) for name, (t, x) in CASES.items() if name not in ("abs", "softmax")}


@pytest.mark.parametrize("name", CASES)
def test_the_inverse_of_a_transform_restores_its_input(name):
    transform, x = CASES[name]
    y = transform(x)
    fb.testing.assert_close(transform.inv(y), x)
    assert transform.inv.inv is transform or transform.inv.inv == transform
    assert transform.domain.check(x).all() and transform.codomain.check(y).all()


@pytest.mark.parametrize("name", CASES)
def test_transforms_report_forward_and_inverse_shapes(name):
    transform, x = CASES[name]
    y = transform(x)
    assert tuple(transform.forward_shape(x.shape)) == y.shape
    assert tuple(transform.inverse_shape(y.shape)) == x.shape
    batch = x.expand(5, 4, *x.shape).contiguous()
    if name not in ("cat", "stack", "inverse cat", "inverse stack"):  # their ``dim`` is 0, the batch dimension here
        assert transform(batch).shape == (5, 4, *y.shape)
        assert tuple(transform.forward_shape(batch.shape)) == (5, 4, *y.shape)
        fb.testing.assert_close(transform(batch)[1, 2], y)


# Transforms whose outputs lie on a surface. The inverse is defined only on this surface.
SURFACES = ("stick", "compose vector", "corr")
BIJECTIVE = [
    name
    for name, (transform, _) in CASES.items()
    if transform.bijective and name not in {f"inverse {surface}" for surface in SURFACES}
]


@pytest.mark.parametrize("name", BIJECTIVE)
def test_log_abs_det_jacobian_matches_the_determinant_of_the_jacobian(name):
    transform, x = CASES[name]
    y = transform(x)
    result = transform.log_abs_det_jacobian(x, y)
    if "cat" in name or "stack" in name:
        result = result.sum()
    assert result.shape == ()
    matrix = jacobian(lambda x: _free(name, transform(x)), x).reshape(-1, max(x.numel(), 1))
    expected = np.linalg.slogdet(matrix.numpy())[1]
    np.testing.assert_allclose(result.numpy(), expected, atol=1e-9)


def _free(name, y):
    """Return the independent entries of an output, as many as the input has. They determine the others."""
    if name in ("stick", "compose vector"):
        return y[..., :-1].reshape(-1)
    if name == "corr":
        d = y.shape[-1]
        return y[..., *fb.tril_indices(d, d, -1)].reshape(-1)
    return y.reshape(-1)


@pytest.mark.parametrize("name", SURFACES)
def test_log_abs_det_jacobian_of_an_inverse_is_the_negative(name):
    transform, x = CASES[name]
    y = transform(x)
    fb.testing.assert_close(transform.inv.log_abs_det_jacobian(y, x), -transform.log_abs_det_jacobian(x, y))


def test_transforms_report_their_sign():
    assert D.ExpTransform().sign == 1 and D.ExpTransform().inv.sign == 1
    assert D.AffineTransform(0.0, -2.0).sign == -1
    assert D.AffineTransform(0.0, number([2.0, -1.0])).sign.tolist() == [1, -1]
    assert D.ComposeTransform([D.AffineTransform(0.0, -1.0), D.PowerTransform(number(-1.0))]).sign == 1
    assert D.IndependentTransform(D.AffineTransform(0.0, -1.0), 1).sign == -1
    with pytest.raises(NotImplementedError):
        D.AbsTransform().sign  # noqa: B018


def test_transforms_with_equal_parameters_are_equal():
    assert D.ExpTransform() == D.ExpTransform() != D.TanhTransform()
    assert D.AffineTransform(1.0, 2.0) == D.AffineTransform(1.0, number(2.0)) != D.AffineTransform(1.0, 3.0)
    assert D.AffineTransform(number([1.0]), 2.0) != D.AffineTransform(number([1.0, 1.0]), 2.0)
    assert D.PowerTransform(2.0) == D.PowerTransform(2.0) != D.PowerTransform(3.0)
    assert D.ComposeTransform([D.ExpTransform()]) == D.ComposeTransform([D.ExpTransform()]) != D.identity_transform
    assert D.IndependentTransform(D.ExpTransform(), 1) != D.IndependentTransform(D.ExpTransform(), 2)
    assert D.ReshapeTransform((2,), (1, 2)) == D.ReshapeTransform((2,), (1, 2)) != D.ReshapeTransform((2,), (2, 1))
    assert D.ExpTransform().inv == D.ExpTransform().inv != D.ExpTransform()


def test_a_cached_inverse_returns_the_identical_input():
    for transform in (D.TanhTransform(cache_size=1), D.TanhTransform().with_cache(), D.ExpTransform(cache_size=1).inv):
        x = number([1.0, 30.0])
        y = transform(x)
        assert transform.inv(y) is x
        assert transform.inv(y.clone()) is not x
    compose = D.ComposeTransform([D.TanhTransform(), D.ExpTransform()], cache_size=1)
    assert compose.inv(compose(x)) is x
    assert D.TanhTransform().with_cache(0)._cache_size == 0
    with pytest.raises(ValueError, match="cache_size must be 0 or 1"):
        D.ExpTransform(cache_size=2)


@pytest.mark.parametrize("name", [name for name in CASES if not name.startswith("inverse") and name != "identity"])
def test_with_cache_keeps_the_parameters(name):
    transform, x = CASES[name]
    cached = transform.with_cache(1)
    assert cached._cache_size == 1 and type(cached) is type(transform)
    fb.testing.assert_close(cached(x), transform(x))
    assert cached.with_cache(1) is cached


def test_transforms_can_be_pickled():
    transform = D.AffineTransform(1.0, number(2.0))
    inverse = transform.inv
    assert pickle.loads(pickle.dumps(transform)) == transform
    assert pickle.loads(pickle.dumps(inverse))(number(5.0)) == 2


def test_saturated_values_stay_inside_the_codomain():
    x = fb.tensor([-200.0, 200.0])
    assert ((D.SigmoidTransform()(x) > 0) & (D.SigmoidTransform()(x) < 1)).all()
    assert D.StickBreakingTransform()(x).gt(0).all()
    assert fb.isfinite(D.TanhTransform().log_abs_det_jacobian(x, x.tanh())).all()


def test_repr_of_transforms_shows_their_structure():
    affine = D.AffineTransform(1.0, 2.0)
    assert repr(affine) == "AffineTransform()"
    assert repr(affine.inv) == "_InverseTransform(AffineTransform())"
    assert repr(D.ComposeTransform([affine, affine])) == (
        "ComposeTransform(\n    AffineTransform(),\n    AffineTransform()\n)"
    )
    assert repr(D.IndependentTransform(affine, 1)) == "IndependentTransform(AffineTransform(), 1)"


def test_transforms_reject_invalid_arguments():
    with pytest.raises(ValueError, match="different numbers of elements"):
        D.ReshapeTransform((2,), (3,))
    reshape = D.ReshapeTransform((2,), (1, 2))
    with pytest.raises(ValueError, match="Shape mismatch"):
        reshape.forward_shape((3,))
    with pytest.raises(ValueError, match="Too few dimensions"):
        reshape.inverse_shape((2,))
    for transform in (D.SoftmaxTransform(), D.StickBreakingTransform(), D.CorrCholeskyTransform()):
        with pytest.raises(ValueError, match="Too few dimensions"):
            transform.forward_shape(())
    with pytest.raises(ValueError, match="for an int D, got 4"):
        D.CorrCholeskyTransform().forward_shape((4,))
    with pytest.raises(ValueError, match="not square"):
        D.CorrCholeskyTransform().inverse_shape((3, 2))
    with pytest.raises(RuntimeError, match=r"expected 3 elements .*, got 4"):
        D.CorrCholeskyTransform()(fb.ones(4))
    with pytest.raises(ValueError, match="Too few dimensions on input"):
        D.IndependentTransform(D.ExpTransform(), 1)(fb.tensor(1.0))
    for kind in (D.CatTransform, D.StackTransform):
        with pytest.raises(AssertionError, match="Transform instances"):
            kind([3])
    with pytest.raises(AssertionError, match="expected size 1"):
        D.CatTransform([D.ExpTransform()])(fb.ones(2))
    with pytest.raises(AssertionError, match="one for each transform"):
        D.StackTransform([D.ExpTransform()])(fb.ones(2))
    with pytest.raises(ValueError, match=r"domain\.event_dim"):
        D.ReshapeTransform((2,), (1, 2)).event_dim  # noqa: B018


def test_an_incomplete_transform_raises_not_implemented():
    class Bare(D.Transform):
        domain, codomain = constraints.real, constraints.positive

        def __init__(self, a):
            super().__init__()

    bare = Bare(1)
    for use in (bare, bare.inv, lambda x: bare.log_abs_det_jacobian(x, x), lambda x: bare.with_cache()):
        with pytest.raises(NotImplementedError, match="Bare"):
            use(number(1.0))


CONSTRAINTS = {
    "real": (constraints.real, ()),
    "positive": (constraints.positive, ()),
    "greater_than": (constraints.greater_than(number([1.0, -2.0])), (2,)),
    "greater_than_eq": (constraints.greater_than_eq(2), ()),
    "less_than": (constraints.less_than(-1.0), ()),
    "unit_interval": (constraints.unit_interval, ()),
    "interval": (constraints.interval(-2.0, number([3.0, 5.0])), (2,)),
    "half_open_interval": (constraints.half_open_interval(1, 4), ()),
    "simplex": (constraints.simplex, (4,)),
    "corr_cholesky": (constraints.corr_cholesky, (6,)),
    "lower_cholesky": (constraints.lower_cholesky, (3, 3)),
    "positive_definite": (constraints.positive_definite, (3, 3)),
    "positive_semidefinite": (constraints.positive_semidefinite, (3, 3)),
    "real_vector": (constraints.real_vector, (3,)),
    "independent": (constraints.independent(constraints.positive, 1), (3,)),
    "cat": (constraints.cat([constraints.positive, constraints.less_than(0.0)], -1, [1, 2]), (3,)),
    "stack": (constraints.stack([constraints.positive, constraints.less_than(0.0)], -1), (2,)),
}
ONLY_TRANSFORM_TO = {"lower_cholesky", "positive_definite", "positive_semidefinite"}


@pytest.mark.parametrize("name", CONSTRAINTS)
@pytest.mark.parametrize("registry", [biject_to, transform_to], ids=["biject_to", "transform_to"])
def test_registered_transforms_map_into_the_constraint(name, registry):
    constraint, shape = CONSTRAINTS[name]
    if registry is biject_to and name in ONLY_TRANSFORM_TO:
        with pytest.raises(NotImplementedError, match="Cannot transform"):
            registry(constraint)
        return
    fb.manual_seed(0)
    x = fb.randn(5, *shape, dtype=fb.float64)
    transform = registry(constraint)
    y = transform(x)
    assert constraint.check(y).all()
    fb.testing.assert_close(transform(transform.inv(y)), y)
    if registry is biject_to:
        assert transform.bijective
        fb.testing.assert_close(transform.inv(y), x)


def test_registries_reject_unknown_and_accept_new_constraints():
    with pytest.raises(NotImplementedError, match="Cannot transform _Boolean constraints"):
        biject_to(constraints.boolean)
    with pytest.raises(TypeError, match="Constraint subclass or instance"):
        biject_to.register(3, lambda constraint: None)

    class Even(constraints.Constraint):
        pass

    @transform_to.register(Even)
    def even(constraint):
        return D.AffineTransform(0.0, 2.0)

    assert transform_to(Even())(number(3.0)) == 6


def test_a_transform_can_be_a_module():
    pytest.importorskip("flambeau.nn", reason="needs flambeau-nn, which flambeau-distributions does not require")

    class Scale(D.transforms.Transform, fb.nn.Module):
        def __init__(self):
            super().__init__(cache_size=1)
            self.factor = fb.nn.Parameter(fb.ones(1))

    assert [name for name, _ in Scale().named_parameters()] == ["factor"]
    assert isinstance(D.ExpTransform().inv, D.transforms._InverseTransform)
