"""Random arguments for hostile_layers.py: shapes that are often empty, transposed tensors, and invalid values."""

from typing import Any

import numpy as np

Random = np.random.Generator


class Draw:
    """Random generator of the arguments of one call, for flambeau or PyTorch."""

    def __init__(self, library: Any, rng: Random) -> None:
        self.library, self.nn, self.F = library, library.nn, library.nn.functional
        self.rng = rng
        self.log: list[str] = []  # the arguments drawn so far, for messages
        self.differentiated: list[Any] = []  # tensors to differentiate with respect to
        self.dtype = [library.float32, library.float64][self.rng.integers(2)]

    def rarely(self, one_in: int) -> bool:
        return bool(self.rng.integers(one_in) == 0)

    def choice(self, *values: Any, odd: tuple[Any, ...] = ()) -> Any:
        """Return one of ``values``, or, with probability 1/16, one of ``odd``."""
        among = odd if odd and self.rarely(16) else values
        return among[self.rng.integers(len(among))]

    def size(self) -> int:
        """Return a random size of a dimension, 0 with probability 1/6."""
        return int(self.choice(0, 1, 2, 3, 4, 7))

    def shape(self, dims: int) -> tuple[int, ...]:
        """Return random sizes. With probability 1/3, one of them, at a random dimension, is 0."""
        sizes = [int(self.choice(1, 2, 3, 5, 6, 8)) for _ in range(dims)]
        if dims and self.rarely(3):
            sizes[self.rng.integers(dims)] = 0
        return tuple(sizes)

    def each(self, dims: int, *values: Any, odd: tuple[Any, ...] = ()) -> Any:
        """Return one of ``values`` for all dimensions, or a tuple with one value for each dimension.

        With probability 1/32, the tuple has one value too many.
        """
        if self.rarely(2):
            return self.choice(*values, odd=odd)
        return tuple(self.choice(*values, odd=odd) for _ in range(dims if not self.rarely(32) else dims + 1))

    def batch(self) -> tuple[int, ...]:
        """Return a batch size as a tuple, or an empty tuple for an unbatched input."""
        return () if self.rarely(4) else (self.choice(0, 1, 2, 5),)

    def tensor(self, *shape: int, gradient: bool | None = None) -> Any:
        """Return a floating tensor. If ``gradient`` is None, choose at random whether it requires grad."""
        numbers = np.sin(np.arange(np.prod(shape, dtype=int)) * 1.3 + 0.1).reshape(shape)
        t = self.library.from_numpy(numbers).to(self.dtype)
        if t.dim() > 1 and self.rarely(4):
            t = t.transpose(-1, -2).contiguous().transpose(-1, -2)
        if gradient if gradient is not None else not self.rarely(4):
            self.differentiated.append(t.requires_grad_())
        return t

    def indices(self, high: int, *shape: int) -> Any:
        """Return integers below ``high``. With probability 1/16, one of them is out of range."""
        numbers = np.arange(np.prod(shape, dtype=int)).reshape(shape) * 7 % max(high, 1)
        if numbers.size and self.rarely(16):
            numbers.flat[0] = self.choice(-1, high, 2**40)
        return self.library.from_numpy(np.asarray(numbers, np.int64))

    def call(self, function: Any, *args: Any, **options: Any) -> Any:
        """Log the arguments and call the function."""
        self.note(function, args, options)
        return function(*args, **options)

    def module(self, kind: Any, *args: Any, **options: Any) -> Any:
        """Create a module, and set its parameters to fixed values."""
        self.note(kind, args, options)
        module = kind(*args, **options).to(self.dtype)
        if self.rarely(3):
            module.eval()
        for parameter in module.parameters():
            numbers = np.cos(np.arange(parameter.numel()) * 0.9).reshape(tuple(parameter.shape))
            parameter.data = self.library.from_numpy(numbers).to(self.dtype)
            self.differentiated.append(parameter)
        return module

    def note(self, function: Any, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        texts = [text(x) for x in args] + [f"{name}={text(x)}" for name, x in options.items()]
        self.log.append(f"{getattr(function, '__name__', type(function).__name__)}({', '.join(texts)})")


def text(x: Any) -> str:
    if isinstance(x, tuple | list):
        return f"({', '.join(map(text, x))})"
    return f"{str(x.dtype).rpartition('.')[2]}{list(x.shape)}" if hasattr(x, "stride") else repr(x)
