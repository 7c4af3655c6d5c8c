"""Stand-in for the parts of CuPy that flambeau uses, computed with NumPy. It records calls, streams and shapes.

Its arrays share the memory of tensors. As with CuPy, they are exchanged only by DLPack.
"""

import sys
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace

import numpy as np

import flambeau as fb
from flambeau.cuda import _arrays

calls = []  # function calls as (name, stream, shape of the array)
taken = []  # addresses of the memory that arrays share
streams = []  # the current streams, the innermost last


class Array:
    def __init__(self, tensor):
        self.tensor = tensor

    def __dlpack_device__(self):
        return self.tensor.__dlpack_device__()

    def __dlpack__(self, stream=None, max_version=None):
        assert stream == (streams[-1] or 1)  # 1 is the default stream
        return self.tensor.__dlpack__(stream=stream, max_version=max_version)

    def conj(self):
        return Array(self.tensor.conj().resolve_conj())


def from_dlpack(tensor):
    array = Array(fb.from_dlpack(tensor))
    taken.append(array.tensor.data_ptr())
    return array


def function(module, name):
    """Return a function that applies the NumPy function of this name to arrays on a GPU."""

    def call(a, *arguments, **options):
        calls.append((name, streams[-1], tuple(a.tensor.shape)))
        result = getattr(module, name)(a.tensor.cpu().numpy(), *arguments, **options)
        single = a.tensor.dtype in (fb.float32, fb.complex64)

        def given(r):
            r = r.astype({"f": np.float32, "c": np.complex64}[r.dtype.kind]) if single else r
            return Array(fb.from_numpy(np.ascontiguousarray(r)).to(a.tensor.device))

        return tuple(map(given, result)) if isinstance(result, tuple) else given(result)

    return call


@contextmanager
def using(stream):
    streams.append(stream)
    yield
    streams.pop()


def failing(module, name):
    """Return a function that reports a cuSOLVER error if the absolute value of the first element exceeds 1e30."""
    good = function(module, name)

    def call(a, *arguments, **options):
        if a.tensor.numel() and a.tensor.flatten()[0].abs().item() > 1e30:
            raise np.linalg.LinAlgError(f"Error reported by {name} in cuSOLVER. devInfo = 3.")
        return good(a, *arguments, **options)

    return call


def module():
    made = ModuleType("cupy")
    made.from_dlpack = from_dlpack
    made.linalg = SimpleNamespace(
        LinAlgError=np.linalg.LinAlgError,
        **{name: failing(np.linalg, name) for name in ("eigh", "eigvalsh", "eig", "eigvals", "svd", "qr")},
    )
    made.fft = SimpleNamespace(**{name: function(np.fft, name) for name in ("fftn", "ifftn", "rfft", "irfft")})
    made.cuda = SimpleNamespace(
        Device=lambda index: using(streams[-1] if streams else None),
        ExternalStream=lambda stream, device: using(stream),
        Stream=DefaultStream(),
    )
    return made


class DefaultStream:
    @property
    def null(self):
        return using(0)


@contextmanager
def errstate(linalg):
    assert linalg == "raise"
    yield


def install(monkeypatch):
    """Replace the modules cupy and cupyx for the duration of a test."""
    made, extra = module(), ModuleType("cupyx")
    extra.errstate = errstate
    monkeypatch.setitem(sys.modules, "cupy", made)
    monkeypatch.setitem(sys.modules, "cupyx", extra)
    monkeypatch.setattr(_arrays, "library", lambda: made)
    calls.clear(), taken.clear()
