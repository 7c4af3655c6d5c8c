"""Fixtures for tests of the CUDA backend, which run on a GPU or, with ``--emulated-gpu``, on this emulator."""

from __future__ import annotations

import os

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--emulated-gpu", action="store_true", help="run on the emulated GPU")
    parser.addoption("--emulated-libraries", action="store_true", help="also emulate cuBLASLt and cuDNN")


def pytest_configure(config: pytest.Config) -> None:
    """Choose the driver before flambeau opens it, which happens once per process."""
    if not config.getoption("--emulated-gpu", default=False):
        return
    import build
    import process

    os.environ.update(process.variables(build.build(), config.getoption("--emulated-libraries")))


@pytest.fixture(autouse=True)
def gpu() -> None:
    import flambeau

    if not flambeau.cuda.is_available():
        pytest.skip("needs a GPU, or --emulated-gpu")
    flambeau.manual_seed(0)


@pytest.fixture
def host_calls():
    """Return a function that lists the operators that fell back to the CPU since the test began."""
    import flambeau

    flambeau._core._cuda_forget_host_calls()
    return flambeau._core._cuda_host_calls


@pytest.fixture
def without_cupy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Run the operators for which CuPy would be used on the CPU."""
    from flambeau.cuda import _arrays

    monkeypatch.setattr(_arrays, "library", lambda: None)


@pytest.fixture
def tf32():
    """Allow products to round float32 operands to TF32."""
    import flambeau

    flambeau.set_float32_matmul_precision("high")
    yield
    flambeau.set_float32_matmul_precision("highest")


@pytest.fixture(params=["float16", "bfloat16", "tf32"])
def matrix_dtype(request):
    """Return a dtype whose products tensor cores compute. For float32, TF32 is allowed."""
    import flambeau

    if request.param != "tf32":
        return getattr(flambeau, request.param)
    request.getfixturevalue("tf32")
    return flambeau.float32
