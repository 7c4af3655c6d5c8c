"""Parametrizations, weight and spectral normalisation, and pruning."""

import copy
import pickle

import numpy as np
import pytest

import flambeau as fb
from flambeau import nn
from flambeau.nn.utils import parametrizations, parametrize, prune


class Symmetric(nn.Module):
    def forward(self, x):
        return x.triu() + x.triu(1).T

    def right_inverse(self, x):
        return x.triu()


class Scaled(nn.Module):
    def forward(self, x):
        return 2 * x


def test_a_parametrized_weight_is_computed_and_trained():
    layer = nn.Linear(3, 3)
    original = layer.weight
    before = original.detach().clone()
    assert parametrize.register_parametrization(layer, "weight", Symmetric()) is layer
    np.testing.assert_array_equal(layer.weight.detach().numpy(), (before.triu() + before.triu(1).T).numpy())
    assert layer.parametrizations.weight.original is original
    assert [name for name, _ in layer.named_parameters()] == ["bias", "parametrizations.weight.original"]
    assert parametrize.is_parametrized(layer, "weight")
    assert not parametrize.is_parametrized(layer, "bias")
    layer(fb.ones(1, 3)).sum().backward()
    assert original.grad is not None
    assert np.all(np.tril(original.grad.numpy(), -1) == 0)
    layer.weight = fb.ones(3, 3)
    np.testing.assert_array_equal(original.detach().numpy(), np.triu(np.ones((3, 3))))
    assert type(layer).__name__ == "ParametrizedLinear"
    assert isinstance(layer, nn.Linear)


def test_parametrizations_are_chained_and_removed():
    layer = nn.Linear(2, 2, bias=False)
    before = layer.weight.detach().clone()
    parametrize.register_parametrization(layer, "weight", Scaled())
    parametrize.register_parametrization(layer, "weight", Scaled())
    np.testing.assert_allclose(layer.weight.detach().numpy(), 4 * before.numpy())
    plain = copy.deepcopy(layer)
    parametrize.remove_parametrizations(layer, "weight")
    assert type(layer) is nn.Linear
    assert isinstance(layer.weight, nn.Parameter)
    np.testing.assert_allclose(layer.weight.detach().numpy(), 4 * before.numpy())
    parametrize.remove_parametrizations(plain, "weight", leave_parametrized=False)
    np.testing.assert_allclose(plain.weight.detach().numpy(), before.numpy())


def test_cached_parametrizations_are_computed_once():
    calls = []

    class Counted(nn.Module):
        def forward(self, x):
            calls.append(1)
            return x

    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Counted(), unsafe=True)
    with parametrize.cached():
        assert layer.weight is layer.weight
    assert len(calls) == 1
    assert layer.weight is not layer.weight or len(calls) > 2


def test_a_parametrized_module_can_be_copied_but_not_pickled():
    layer = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Symmetric())
    twin = copy.deepcopy(layer)
    twin.weight = fb.zeros(2, 2)
    assert abs(layer.weight).sum() > 0
    parametrize.remove_parametrizations(twin, "weight")
    assert parametrize.is_parametrized(layer, "weight")
    assert abs(layer.weight).sum() > 0
    with pytest.raises(RuntimeError, match="state_dict"):
        pickle.dumps(layer)
    other = parametrize.register_parametrization(nn.Linear(2, 2), "weight", Symmetric())
    other.load_state_dict(layer.state_dict())
    np.testing.assert_array_equal(other.weight.detach().numpy(), layer.weight.detach().numpy())


@pytest.mark.parametrize("dim", [0, 1, None])
@pytest.mark.parametrize("kind", ["hook", "parametrization"])
def test_weight_norm_splits_a_weight_into_magnitude_and_direction(dim, kind):
    layer = nn.Linear(4, 3)
    before = layer.weight.detach().numpy().copy()
    norm = nn.utils.weight_norm if kind == "hook" else parametrizations.weight_norm
    norm(layer, dim=dim)
    np.testing.assert_allclose(layer.weight.detach().numpy(), before, rtol=1e-5)
    g = layer.weight_g if kind == "hook" else layer.parametrizations.weight.original0
    axes = None if dim is None else tuple({0, 1} - {dim})
    lengths = np.sqrt((before**2).sum(axes, keepdims=dim is not None))
    np.testing.assert_allclose(g.detach().numpy(), lengths, rtol=1e-5)
    with fb.no_grad():
        g.mul_(2)
    layer(fb.ones(1, 4)).sum().backward()
    assert g.grad is not None
    np.testing.assert_allclose(layer.weight.detach().numpy(), 2 * before, rtol=1e-5)
    if kind == "hook":
        nn.utils.remove_weight_norm(layer)
    else:
        parametrize.remove_parametrizations(layer, "weight")
    assert list(layer.state_dict()) == (["bias", "weight"])
    np.testing.assert_allclose(layer.weight.detach().numpy(), 2 * before, rtol=1e-5)


def test_the_weight_norm_parametrization_loads_the_state_of_the_weight_norm_hook():
    saved = nn.Sequential(nn.utils.weight_norm(nn.Linear(4, 3)))
    layer = parametrizations.weight_norm(nn.Linear(4, 3))
    nn.Sequential(layer).load_state_dict(saved.state_dict())
    np.testing.assert_array_equal(layer.weight.detach().numpy(), saved[0].weight.detach().numpy())


@pytest.mark.parametrize("norm", [nn.utils.weight_norm, parametrizations.weight_norm])
def test_weight_norm_keeps_float16_weights_with_tiny_squares(norm):
    layer = nn.Linear(4, 1, bias=False).half()
    nn.init.constant_(layer.weight, 1e-4)
    before = layer.weight.detach().float().numpy().copy()
    np.testing.assert_allclose(norm(layer).weight.detach().float().numpy(), before, rtol=1e-2)


@pytest.mark.parametrize("norm", [nn.utils.spectral_norm, parametrizations.spectral_norm])
def test_spectral_norm_makes_the_largest_singular_value_one(norm):
    fb.manual_seed(0)
    layer = norm(nn.Linear(5, 4), n_power_iterations=50)
    layer(fb.ones(1, 5)).sum().backward()
    assert np.linalg.norm(layer.weight.detach().numpy(), 2) == pytest.approx(1, rel=1e-4)
    layer.eval()
    np.testing.assert_array_equal(layer.weight.detach().numpy(), layer.weight.detach().numpy())
    convolution = norm(nn.ConvTranspose2d(2, 3, 2), n_power_iterations=100)
    convolution(fb.ones(1, 2, 2, 2))
    matrix = convolution.weight.detach().numpy().swapaxes(0, 1).reshape(3, -1)
    assert np.linalg.norm(matrix, 2) == pytest.approx(1, rel=1e-4)


@pytest.mark.parametrize("shape", [(3, 3), (5, 3), (3, 5)])
@pytest.mark.parametrize("orthogonal_map", ["matrix_exp", "cayley", "householder"])
@pytest.mark.parametrize("trivialization", [True, False])
def test_orthogonal_keeps_the_weight_orthogonal(shape, orthogonal_map, trivialization):
    fb.manual_seed(1)
    layer = nn.Linear(shape[1], shape[0], dtype=fb.float64)
    parametrizations.orthogonal(layer, "weight", orthogonal_map, use_trivialization=trivialization)
    with fb.no_grad():
        for _ in range(2):
            weight = layer.weight.detach().numpy()
            product = weight.T @ weight if shape[0] >= shape[1] else weight @ weight.T
            np.testing.assert_allclose(product, np.eye(min(shape)), atol=1e-10)
            if orthogonal_map != "householder":
                layer.parametrizations.weight.original.add_(fb.rand(*shape, dtype=fb.float64))
    if trivialization:
        target = np.linalg.qr(np.random.default_rng(0).standard_normal((max(shape), min(shape))))[0]
        target = target if shape[0] >= shape[1] else target.T
        layer.weight = fb.from_numpy(target.copy())
        np.testing.assert_allclose(layer.weight.detach().numpy(), target, atol=1e-10)


def test_the_cayley_map_has_the_sign_of_pytorch():
    layer = nn.Linear(2, 2, dtype=fb.float64)
    parametrizations.orthogonal(layer, "weight", "cayley", use_trivialization=False)
    with fb.no_grad():
        layer.parametrizations.weight.original.copy_(fb.tensor([[0.0, 0.0], [1.0, 0.0]]))
    half = np.array([[0.0, -0.5], [0.5, 0.0]])  # half of the skew-symmetric matrix
    expected = np.linalg.solve(np.eye(2) - half, np.eye(2) + half)
    np.testing.assert_allclose(layer.weight.detach().numpy(), expected, atol=1e-15)


def test_pruning_keeps_the_largest_weights():
    layer = nn.Linear(4, 2)
    before = layer.weight.detach().numpy().copy()
    prune.l1_unstructured(layer, "weight", amount=0.5)
    kept = abs(before) >= np.sort(abs(before).ravel())[4]
    np.testing.assert_array_equal(layer.weight.detach().numpy(), before * kept)
    np.testing.assert_array_equal(layer.weight_mask.numpy(), kept)
    assert list(layer.state_dict()) == ["bias", "weight_orig", "weight_mask"]
    layer(fb.ones(1, 4)).sum().backward()
    np.testing.assert_array_equal(layer.weight_orig.grad.numpy() != 0, np.broadcast_to(kept, (2, 4)))
    assert prune.is_pruned(layer)
    prune.remove(layer, "weight")
    assert not prune.is_pruned(layer)
    np.testing.assert_array_equal(layer.weight.detach().numpy(), before * kept)


def test_repeated_pruning_accumulates():
    layer = nn.Conv2d(3, 4, 2)
    prune.ln_structured(layer, "weight", amount=1, n=2, dim=0)
    norms = np.sqrt((layer.weight_orig.detach().numpy() ** 2).sum((1, 2, 3)))
    pruned = layer.weight.detach().numpy()
    assert (abs(pruned).sum((1, 2, 3)) == 0).nonzero()[0].tolist() == [norms.argmin()]
    prune.random_unstructured(layer, "weight", amount=6)
    assert int((layer.weight == 0).sum()) == 12 + 6
    prune.random_structured(layer, "weight", amount=1, dim=0)
    alive = abs(layer.weight.detach().numpy()).sum((1, 2, 3)) > 0
    assert alive.sum() == 2


def test_global_pruning_compares_weights_of_all_layers():
    small, large = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    nn.init.constant_(small.weight, 0.1)
    nn.init.constant_(large.weight, 1.0)
    prune.global_unstructured([(small, "weight"), (large, "weight")], prune.L1Unstructured, amount=4)
    assert small.weight.tolist() == [[0, 0], [0, 0]]
    assert large.weight.tolist() == [[1, 1], [1, 1]]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: parametrize.register_parametrization(nn.Linear(2, 2), "w", Scaled()), ValueError, "with name 'w'"),
        (
            lambda: parametrize.register_parametrization(nn.Linear(2, 3), "weight", nn.Flatten(0)),
            ValueError,
            r"may not change the shape",
        ),
        (
            lambda: parametrize.remove_parametrizations(nn.Linear(2, 2), "weight"),
            ValueError,
            "parametrization on 'weight'",
        ),
        (lambda: parametrizations.orthogonal(nn.Linear(2, 2), "bias"), ValueError, "Expected a matrix"),
        (lambda: nn.utils.remove_weight_norm(nn.Linear(2, 2)), ValueError, "weight_norm of 'weight' not found"),
        (lambda: nn.utils.remove_spectral_norm(nn.Linear(2, 2)), ValueError, "spectral_norm of 'weight' not found"),
        (lambda: prune.l1_unstructured(nn.Linear(2, 2), "weight", 1.5), ValueError, "range"),
        (lambda: prune.l1_unstructured(nn.Linear(2, 2), "weight", 5), ValueError, "prune=4"),
        (lambda: prune.remove(nn.Linear(2, 2), "weight"), ValueError, "has to be pruned before"),
        (lambda: prune.random_structured(nn.Linear(2, 2), "bias", 1, 0), ValueError, "multidimensional"),
    ],
)
def test_parametrizations_and_pruning_reject_invalid_arguments(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_rejected_parametrization_changes_nothing():
    layer = nn.Linear(2, 3)
    before = list(layer.state_dict())
    with pytest.raises(ValueError, match="shape"):
        parametrize.register_parametrization(layer, "weight", nn.Flatten(0))
    with pytest.raises(ValueError, match="prune=6"):
        prune.l1_unstructured(layer, "weight", 7)
    assert list(layer.state_dict()) == before
    assert type(layer) is nn.Linear


class Half(nn.Module):
    def forward(self, x):
        return x / 2

    def right_inverse(self, x):
        return x * 2


class Increment(nn.Module):
    def forward(self, x):
        return x + 1


def test_a_second_parametrization_keeps_the_original_parameter():
    layer = nn.Linear(2, 2)
    parametrize.register_parametrization(layer, "weight", Increment())  # Increment has no right_inverse
    original = layer.parametrizations.weight.original.detach().numpy().copy()
    parametrize.register_parametrization(layer, "weight", Half())
    np.testing.assert_array_equal(layer.parametrizations.weight.original.detach().numpy(), original)
    np.testing.assert_allclose(layer.weight.detach().numpy(), (original + 1) / 2, rtol=1e-6)


@pytest.mark.parametrize(
    ("inverse", "message"),
    [
        (lambda x: None, "must return a Tensor or a Sequence of tensors"),
        (lambda x: (x, 1.0), "Got element 1 of the sequence with type float"),
    ],
)
def test_right_inverses_that_return_no_tensor_are_rejected(inverse, message):
    layer, wrong = nn.Linear(2, 2), Increment()
    wrong.right_inverse = inverse
    with pytest.raises(ValueError, match=message):
        parametrize.register_parametrization(layer, "weight", wrong)
    assert not parametrize.is_parametrized(layer)


@pytest.mark.parametrize(
    ("inverse", "message"),
    [
        (lambda x: (x, x), "right_inverse must return a tensor"),
        (lambda x: x.double(), "must have the same dtype"),
        (lambda x: x[0], "must have the same shape"),
    ],
)
def test_right_inverses_of_later_parametrizations_are_checked(inverse, message):
    layer, wrong = nn.Linear(2, 2), Increment()
    parametrize.register_parametrization(layer, "weight", Half())
    wrong.right_inverse = inverse
    with pytest.raises(ValueError, match=message):
        parametrize.register_parametrization(layer, "weight", wrong)
    assert len(layer.parametrizations.weight) == 1


def test_recurrent_layers_compute_with_pruned_and_parametrized_weights():
    layer, x = nn.LSTM(3, 4), fb.rand(5, 2, 3)
    prune.l1_unstructured(layer, "weight_ih_l0", 0.5)
    parametrize.register_parametrization(layer, "weight_hh_l0", Half())
    plain = nn.LSTM(3, 4)
    names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
    plain.load_state_dict({name: getattr(layer, name).detach() for name in names})
    np.testing.assert_array_equal(layer(x)[0].detach().numpy(), plain(x)[0].detach().numpy())
    assert [isinstance(weight, nn.Parameter) for weight in layer._flat_weights] == [False, False, True, True]


@pytest.mark.parametrize(
    ("amount", "size", "count"), [(0, 15, 0), (10, 15, 10), (1, 15, 1), (1.0, 15, 15), (0.4, 17, 7)]
)
def test_pruning_amounts_are_counts_or_fractions(amount, size, count):
    prune._validate_pruning_amount_init(amount)
    prune._validate_pruning_amount(amount, size)
    assert prune._compute_nparams_toprune(amount, size) == count


@pytest.mark.parametrize("name", ["orthogonal", "weight_norm", "spectral_norm"])
def test_a_transferred_parametrization_gives_the_same_weight(name):
    source = getattr(parametrizations, name)(nn.Linear(4, 4)).eval()
    before = source.weight.clone()
    copied = parametrize.transfer_parametrizations_and_params(source, nn.Linear(4, 4)).eval()
    np.testing.assert_allclose(copied.weight.detach().numpy(), before.detach().numpy(), rtol=1e-6)
    assert fb.equal(source.weight, before)


def test_random_pruning_removes_the_largest_random_numbers():
    """Test PyTorch's choice, with which the same seed gives the same mask."""
    layer = nn.Linear(6, 4)
    state = fb.get_rng_state()
    prune.random_unstructured(layer, "weight", amount=7)
    fb.set_rng_state(state)
    drawn = fb.rand_like(layer.weight).flatten()
    assert set(drawn.topk(7).indices.tolist()) == set((layer.weight_mask.flatten() == 0).nonzero().flatten().tolist())


def test_random_structured_pruning_removes_the_slices_with_the_smallest_random_numbers():
    layer = nn.Linear(6, 4, dtype=fb.float64)
    state = fb.get_rng_state()
    prune.random_structured(layer, "weight", amount=2, dim=1)
    fb.set_rng_state(state)
    smallest = fb.rand(6).topk(2, largest=False).indices.tolist()  # float32, as in PyTorch
    assert set(smallest) == set((layer.weight_mask[0] == 0).nonzero().flatten().tolist())


def test_the_weight_norm_hook_is_deprecated():
    with pytest.warns(FutureWarning, match="weight_norm` is deprecated in favor of `nn.utils.parametrizations"):
        nn.utils.weight_norm(nn.Linear(4, 3))
