"""Test the properties of PowerSGD's low-rank approximation with NumPy."""

import numpy as np
import pytest

import flambeau as fb
from flambeau import distributed as dist
from flambeau.distributed.algorithms.ddp_comm_hooks.powerSGD_hook import PowerSGDState, powerSGD_hook

SHAPES = [(12, 10), (5,), (2, 2), (6, 4, 8), ()]
COMPRESSED = (0, 3)  # indices of the shapes that are large enough to be compressed


def _gradients(rank, step, columns=0):
    """Return a process's gradients. With ``columns``, only their mean over processes has this rank."""
    random = np.random.default_rng([rank, step])
    found = [random.standard_normal(shape) for shape in SHAPES]
    if columns:
        common = np.random.default_rng(step)
        for number in COMPRESSED:
            height, width = SHAPES[number][0], int(np.prod(SHAPES[number][1:]))
            product = common.standard_normal((height, columns)) @ common.standard_normal((columns, width))
            other = common.standard_normal((height, width))
            found[number] = (product + (1 - 2 * rank) * other).reshape(SHAPES[number])
    return found


def _hooked(steps, columns, options):
    state = PowerSGDState(None, start_powerSGD_iter=2, **options)
    results = []
    for step in range(steps):
        flat = fb.tensor(np.concatenate([each.ravel() for each in _gradients(dist.get_rank(), step, columns)]))
        parts = flat.split([int(np.prod(shape)) for shape in SHAPES])
        views = [part.view(shape) for part, shape in zip(parts, SHAPES, strict=True)]
        result = powerSGD_hook(state, dist.GradBucket(0, flat, views, [], True)).wait()
        assert result.data_ptr() == flat.data_ptr()
        results.append([each.numpy().copy() for each in views])
    errors = state.error_dict[0].numpy() if state.error_dict else None
    return results, errors


def _mean(step, columns=0):
    return [np.mean(each, axis=0) for each in zip(*(_gradients(rank, step, columns) for rank in range(2)), strict=True)]


@pytest.mark.parametrize("rank", [1, 2])
def test_power_sgd_is_exact_for_matrices_of_low_rank(ranks, rank):
    options = {"matrix_approximation_rank": rank, "use_error_feedback": False}
    for found, _ in ranks.run(_hooked, 4, rank, options):
        for step in range(4):
            for one, other in zip(found[step], _mean(step, rank), strict=True):
                np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("rank", [1, 2])
def test_power_sgd_compresses_matrices_and_averages_other_gradients(ranks, rank):
    options = {"matrix_approximation_rank": rank, "use_error_feedback": False}
    (first, _), (second, _) = ranks.run(_hooked, 4, 0, options)
    for step in range(4):
        for number, mean in enumerate(_mean(step)):
            one = first[step][number]
            np.testing.assert_array_equal(one, second[step][number])
            if number in COMPRESSED and step >= 2:
                matrix, whole = one.reshape(len(one), -1), mean.reshape(len(one), -1)
                left, sizes, _ = np.linalg.svd(matrix)
                assert (sizes > 1e-9 * sizes[0]).sum() == rank
                np.testing.assert_allclose(left[:, :rank] @ left[:, :rank].T @ whole, matrix, rtol=1e-9, atol=1e-9)
            else:
                np.testing.assert_allclose(one, mean, rtol=1e-12)


def test_error_feedback_adds_compression_errors_to_later_gradients(ranks):
    found = ranks.run(_hooked, 8, 0, {})
    given = sum(np.concatenate([each.ravel() for each in _mean(step)]) for step in range(8))
    arrived = sum(np.concatenate([each.ravel() for each in step]) for step in found[0][0])
    lost = np.mean([errors for _, errors in found], axis=0)
    assert np.abs(lost).max() > 0.1
    np.testing.assert_allclose(arrived + lost, given, rtol=1e-9, atol=1e-9)


def test_start_iteration_must_allow_a_warm_start():
    for options in ({}, {"warm_start": False}, {"use_error_feedback": False}):
        with pytest.raises(ValueError, match="start_powerSGD_iter"):
            PowerSGDState(None, start_powerSGD_iter=1, **options)
    PowerSGDState(None, start_powerSGD_iter=0, warm_start=False, use_error_feedback=False)
