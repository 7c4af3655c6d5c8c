"""Arguments for hostile.py: many different tensors, other objects, and values that suit a parameter's name."""

import contextlib
from collections.abc import Callable
from typing import Any

import numpy as np

import flambeau as fb

try:
    from flambeau import autograd  # noqa: F401

    HAS_AUTOGRAD = True
except ImportError:  # tensor-core alone
    HAS_AUTOGRAD = False

Random = np.random.Generator

NUMBERS = [0, 1, -1, 2, 3, 7, 64, 65, 2**31, -(2**31), 2**62, 2**63 - 1, -(2**63), 2**64, 2**200]
NUMBERS += [0.0, -0.0, 0.5, -1.5, 1e308, float("nan"), float("inf"), -float("inf")]
DTYPE_NAMES = (
    "float32 float64 float16 bfloat16 int64 int32 int16 int8 uint8 uint16 uint32 uint64 bool complex64 complex128 "
    "float8_e4m3fn float8_e5m2 float8_e8m0fnu"
)
DTYPES = [getattr(fb, name) for name in DTYPE_NAMES.split()]


class Rejects:
    """Object whose special methods raise an error."""

    def _reject(self, *args: Any, **kwargs: Any) -> Any:
        raise ZeroDivisionError("rejected")

    __len__ = __getitem__ = __iter__ = __index__ = __float__ = __bool__ = __array__ = __dlpack__ = __complex__ = _reject


class Meddles:
    """Object whose special methods replace the memory or the shape of the other arguments of the call."""

    victims: list[fb.Tensor] = []  # noqa: RUF012, of the call in progress

    def _meddle(self, *args: Any, **kwargs: Any) -> int:
        for number, t in enumerate(self.victims):
            with contextlib.suppress(RuntimeError):
                t.resize_(0) if number % 2 else setattr(t, "data", fb.zeros(1, dtype=t.dtype))
        return 1

    __len__ = __index__ = _meddle

    def __float__(self) -> float:
        return float(self._meddle())

    def __getitem__(self, index: int) -> int:
        if index > 1:
            raise IndexError(index)
        return self._meddle()

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        return np.full(2, self._meddle())


class Nested:
    """Sequence whose items are the sequence itself."""

    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int) -> Any:
        if index >= len(self):
            raise IndexError(index)
        return self


class Shrinks(list[Any]):
    """List that becomes shorter each time its length is read."""

    def __len__(self) -> int:
        return super().__len__() and (self.pop() is None or super().__len__())


class Subclass(fb.Tensor):
    """A tensor of a custom class."""


def read_only() -> fb.Tensor:
    array = np.ones(3, np.float32)
    array.flags.writeable = False
    return fb.from_numpy(array)


def dtype(rng: Random) -> fb.dtype:
    return DTYPES[rng.integers(len(DTYPES))]


TENSORS: list[Callable[[Random], fb.Tensor]] = [
    lambda rng: fb.zeros(2, 3),
    lambda rng: fb.ones(3, 2, dtype=fb.float64).t(),
    lambda rng: fb.tensor(1.5),
    lambda rng: fb.zeros(0),
    lambda rng: fb.zeros(2, 0, 3),
    lambda rng: fb.full((2, 3), float("nan")),
    lambda rng: fb.tensor([1, 0, -1]),
    lambda rng: fb.tensor([[0, 1, 2], [2, 1, 0]]),
    lambda rng: fb.tensor([[True, False, True]]),
    lambda rng: fb.tensor(3),
    lambda rng: fb.zeros(1).expand(4, 3),
    lambda rng: fb.zeros(1).expand(2**20, 2**12)[:2, :3],
    lambda rng: fb.zeros((1,) * 64),
    lambda rng: fb.zeros(2, 3, 4, 4),
    lambda rng: fb.ones(3, 3, dtype=fb.float64) + fb.eye(3, dtype=fb.float64),
    lambda rng: read_only(),
    lambda rng: fb.tensor([2**63 - 1, -(2**63), 0]),
    lambda rng: fb.tensor([float("inf"), -float("inf"), 0.0]),
    lambda rng: fb.arange(6.0).as_strided((2, 2), (1, 2), 1),
    lambda rng: fb.arange(6.0).as_strided((2, 3), (1, 1)),
    lambda rng: fb.zeros(2, 3).to(dtype(rng)),
    lambda rng: fb.ones(4, 4).to(dtype(rng)),
    lambda rng: fb.from_numpy(np.array([2, 255, 0], np.uint8).view(np.bool_)),
    lambda rng: fb.from_numpy(np.ones((4, 6))[::2, 1::3]),
    lambda rng: fb.from_numpy(np.broadcast_to(np.float32(1), (3, 3))),
    lambda rng: Subclass([1.0, 2.0]),
    lambda rng: fb.zeros(*(int(n) for n in rng.permutation([0, 2, 5000])), dtype=dtype(rng)),
]
OTHERS: list[Callable[[Random], Any]] = [
    lambda rng: NUMBERS[rng.integers(len(NUMBERS))],
    lambda rng: NUMBERS[rng.integers(len(NUMBERS))],
    lambda rng: int(rng.integers(-3, 4)),
    lambda rng: int(rng.integers(-3, 4)),
    lambda rng: (int(rng.integers(-2, 4)), int(rng.integers(-2, 4))),
    lambda rng: tuple(NUMBERS[i] for i in rng.integers(len(NUMBERS), size=rng.integers(0, 5))),
    lambda rng: (1,) * 65,
    lambda rng: [tensor(rng), tensor(rng)],
    lambda rng: [fb.zeros(2), 3],
    lambda rng: [],
    lambda rng: None,
    lambda rng: True,
    lambda rng: 2 + 1j,
    lambda rng: str(rng.choice(["mean", "sum", "same", "reflect", "bilinear", "\ud800", ""])),
    lambda rng: b"bytes",
    lambda rng: {},
    lambda rng: object(),
    lambda rng: Rejects(),
    lambda rng: [Rejects()],
    lambda rng: Meddles(),
    lambda rng: (1, Meddles()),
    lambda rng: slice(Meddles(), 2),
    lambda rng: Nested(),
    lambda rng: Shrinks([1, 2, 3]),
    dtype,
    lambda rng: float,
    lambda rng: slice(None),
    lambda rng: Ellipsis,
    lambda rng: np.ones((2, 3)),
    lambda rng: np.float32(2),
    lambda rng: np.array(["a"]),
    lambda rng: fb.Generator(),
    lambda rng: fb.device("cuda"),
    lambda rng: fb.channels_last,
    lambda rng: [[1, 2], [3]],
    lambda rng: len,
]


def tensor(rng: Random) -> fb.Tensor:
    return TENSORS[rng.integers(len(TENSORS))](rng)


def value(rng: Random) -> Any:
    """Return a random argument: a tensor in half of all cases, otherwise any other object."""
    return tensor(rng) if rng.integers(2) else OTHERS[rng.integers(len(OTHERS))](rng)


BENDS: list[Callable[[fb.Tensor, Random], fb.Tensor]] = [
    lambda t, rng: t.to(dtype(rng)),
    lambda t, rng: t.unsqueeze(0),
    lambda t, rng: t[0],
    lambda t, rng: t[:0],
    lambda t, rng: t[..., 1:],
    lambda t, rng: t[:0].unsqueeze(-1).expand(-1, *t.shape[1:], 5000).contiguous(),
    lambda t, rng: fb.zeros(5000, *t.shape[1:], 0, dtype=t.dtype),
    lambda t, rng: t.mT,
    lambda t, rng: t[..., :1].expand(t.shape),
    lambda t, rng: t.reshape(-1),
    lambda t, rng: t.repeat_interleave(2, -1)[..., ::2],
    lambda t, rng: fb.full_like(t, float("nan")),
    lambda t, rng: fb.full_like(t, float("inf")),
    lambda t, rng: fb.full_like(t, int(rng.choice([1000, -1, 2**31, -(2**63)]))),
    lambda t, rng: t.as_strided(t.shape, (0,) * t.dim()),
    lambda t, rng: t.as_strided((2, 2), (1, 1)),
]


def bent(given: Any, rng: Random) -> Any:
    """Return a likely argument with one property made invalid, or another random value."""
    if isinstance(given, fb.Tensor) and rng.integers(3):
        with contextlib.suppress(RuntimeError, IndexError, OverflowError):
            return BENDS[rng.integers(len(BENDS))](given, rng)
    if isinstance(given, tuple) and rng.integers(2):
        changed = [*given, 1] if rng.integers(2) else list(given[1:])
        return [*changed, NUMBERS[rng.integers(len(NUMBERS))]] if rng.integers(2) else tuple(changed)
    return value(rng)


WORDS = "mean sum none amax prod reflect zeros border bilinear nearest xy left reduced complete fro ortho relu"
KINDS: dict[str, Callable[[Random], Any]] = {
    "Tensor": tensor,
    "int": lambda rng: int(rng.integers(-1, 4)),
    "float": lambda rng: float(rng.integers(0, 4)) / 2,
    "bool": lambda rng: bool(rng.integers(2)),
    "str": lambda rng: str(rng.choice(WORDS.split())),
    "Number": lambda rng: int(rng.integers(-1, 4)),
    "tuple of ints": lambda rng: tuple(int(i) for i in rng.integers(0, 4, size=rng.integers(0, 4))),
    "tuple of Tensors": lambda rng: [tensor(rng) for _ in range(rng.integers(0, 4))],
    "flambeau.dtype": dtype,
    "flambeau.layout": lambda rng: fb.strided,
    "flambeau.device": lambda rng: "cpu",
    "flambeau.memory_format": lambda rng: [fb.contiguous_format, fb.channels_last][rng.integers(2)],
    "flambeau.Generator": lambda rng: fb.Generator(),
}


def of_kind(kind: str, rng: Random) -> Any:
    """Return a value of the type that an error message asks for."""
    return KINDS.get(kind.partition(" or ")[0].partition(", ")[0], value)(rng)


def named(names: str) -> set[str]:
    return set(names.split())


VECTORS = named(
    "vec vec1 vec2 bias running_mean running_var b_ih b_hh window boundaries x dirichlet tau pivots weights"
)
MATRICES = named("mat mat1 mat2 input1 input2 A B LU LD L R w_ih w_hh mean1")
BATCHES = named("batch1 batch2 query key grid")
INDICES = named("index indices target targets offsets LU_pivots lengths input_lengths target_lengths sorter")
MASKS = named("mask condition key_padding_mask")
DIMENSIONS = named("dim dim0 dim1 dim2 dims axis axis0 axis1 start_dim end_dim diagonal offset shifts source_dim")
COUNTS = named(
    "n k q chunks repeats groups group num_groups num_classes num_samples bins steps sections length step size0"
)
COUNTS |= named(
    "split_size window_length n_fft upscale_factor downscale_factor minlength decimals row col m r C HxW N p_int"
)
SIZES = named("size shape sizes stride padding kernel_size dilation output_size pad normalized_shape output_padding")
SIZES |= named("split_sizes indices_or_sections split_size_or_sections scale_factor destination")
LISTS = named("tensors arrays operands matrices params grads hx")


class Likely:
    """Generator of arguments that match: every tensor has 3 elements along each dimension, and one dtype."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.dims = int(rng.integers(0, 6))
        self.dtype = dtype(rng) if rng.integers(3) == 0 else [fb.float32, fb.float64][rng.integers(2)]
        self.needs_gradient = HAS_AUTOGRAD and rng.integers(3) == 0

    def cube(self, dims: int) -> fb.Tensor:
        numbers = fb.from_numpy(self.rng.integers(0, 3, (3,) * dims) + 0.25)
        t = (numbers + fb.eye(3, dtype=fb.float64) if dims > 1 else numbers).to(self.dtype)
        return t.requires_grad_() if self.needs_gradient and (t.is_floating_point() or t.is_complex()) else t

    def argument(self, name: str, default: Any, earlier: list[Any]) -> Any:
        rng = self.rng
        if name == "out" and earlier and isinstance(earlier[0], fb.Tensor):
            given = earlier[0]
            views = [given, given.mT if given.dim() > 1 else given, given.expand(given.shape), tensor(rng)]
            return views[rng.integers(len(views))]
        if isinstance(default, bool):
            return bool(rng.integers(2))
        if isinstance(default, str):
            return default
        if name in INDICES:
            dims = self.dims if name in ("index", "indices") else max(self.dims - 1, 0)
            return fb.from_numpy(rng.integers(0, 3, (3,) * (1 if rng.integers(2) else dims)))
        if name in MASKS:
            return fb.from_numpy(rng.integers(0, 2, (3,) * self.dims).astype(bool))
        if name in DIMENSIONS:
            return int(rng.integers(-2, 3)) if rng.integers(8) else (0, 1)
        if name in COUNTS:
            return int(rng.integers(1, 4))
        if name in SIZES:
            sizes = tuple(int(i) for i in rng.integers(1, 4, size=rng.integers(0, max(self.dims, 1) + 1)))
            return sizes if rng.integers(2) else int(rng.integers(0, 4))
        if name in LISTS:
            return [self.cube(self.dims) for _ in range(rng.integers(1, 4))]
        if name == "dtype":
            return dtype(rng)
        if name == "equation":
            return str(rng.choice(["ij,jk->ik", "ii", "...i,...i->...", "ij,jk", "i->"]))
        if isinstance(default, int | float):
            return type(default)(rng.integers(0, 3))
        if name in VECTORS:
            return self.cube(1)
        if name in MATRICES:
            return self.cube(max(self.dims, 2))
        return self.cube(3) if name in BATCHES else self.cube(self.dims)
