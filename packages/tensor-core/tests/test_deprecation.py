"""Warnings of deprecated names, which begin as those of PyTorch do."""

import warnings

import pytest

import flambeau as fb

X, M = fb.ones(2, 3), fb.eye(2)
CALLS = {
    "meshgrid: in an upcoming release": lambda: fb.meshgrid(fb.arange(2), fb.arange(3)),
    "Using cross without specifying the dim arg": lambda: fb.cross(X, X),
    "range is deprecated": lambda: fb.range(0, 3),
    "lu is deprecated in favor of linalg.lu_factor": lambda: M.lu(),
    "qr is deprecated in favor of linalg.qr": lambda: fb.qr(M),
    "cholesky is deprecated in favor of linalg.cholesky": lambda: fb.cholesky(M),
    "triangular_solve is deprecated in favor of linalg.solve_triangular": lambda: fb.triangular_solve(M, M),
    "chain_matmul is deprecated": lambda: fb.chain_matmul(M, M),
    "set_default_tensor_type.. is deprecated": lambda: fb.set_default_tensor_type(fb.FloatTensor),
}


@pytest.mark.parametrize("text", CALLS)
def test_a_deprecated_operator_warns_once(text):
    fb.set_warn_always(True)
    try:
        with pytest.warns(UserWarning, match=text):
            CALLS[text]()
    finally:
        fb.set_warn_always(False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        CALLS[text]()


def test_new_tensor_recommends_clone_for_a_tensor():
    with pytest.warns(UserWarning, match="recommended to use sourceTensor.detach"):
        copied = X.new_tensor(fb.ones(1, dtype=fb.int8))
    assert copied.dtype is fb.int8


def test_current_names_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        fb.set_warn_always(True)
        try:
            fb.meshgrid(fb.arange(2), fb.arange(3), indexing="xy")
            fb.cross(X, X, dim=1)
            fb.linalg.cross(X, X)
            fb.linalg.qr(M), fb.linalg.lu_factor(M), fb.linalg.cholesky(M), fb.linalg.multi_dot([M, M])
        finally:
            fb.set_warn_always(False)
