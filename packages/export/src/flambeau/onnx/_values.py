"""The values of a trace, each a tensor at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field

from flambeau import Tensor, _core
from flambeau._tracing import _recorder

from ._sizes import Samples, Size

Shape = tuple[int | Size, ...]
# Operators whose converters do not ask for the sizes of their results. A size of theirs that is no polynomial of the
# inputs' sizes is measured when the file runs; for other operators it is inferred from measured sizes.
MEASURED = {"pad", "cat", "nonzero", "_nms", "convolution", "max_pool1d"}
MEASURED |= {"conv1d", "conv2d", "conv3d"}
MEASURED |= {"max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "topk", "linear"}


@dataclass(eq=False, kw_only=True)
class Value(_recorder.Value):
    """A tensor at one moment of a trace: changing a tensor in place gives it another value.

    Attributes:
        tensor: what it was then; the elements matter where no input has a part in them.
        call: what computed it; None for inputs, parameters and what else was there before.
        input: which input it is, if it is one.
    """

    tensor: Tensor
    call: _recorder.Call | None = None
    input: int | None = None
    seen: list[tuple[int, ...]] = field(default_factory=list)  # its shape in each trace
    samples: Samples | None = None

    @property
    def dtype(self) -> _core.dtype:
        return self.tensor.dtype

    @property
    def ndim(self) -> int:
        return self.tensor.ndim

    def size_name(self, axis: int) -> str:
        """What the size of a dimension is called where it is measured."""
        return f"{self.call.name if self.call else 'input'}_{self.name[1:]}_{axis}"

    @property
    def _can_be_measured(self) -> bool:
        """True if the converter does not ask for the sizes of this result."""
        if self.call is None or self.call.name != "__getitem__":
            return self.call is None or self.call.name in MEASURED
        key = self.call.arguments["key"]
        return all(isinstance(part, slice) for part in (key if isinstance(key, tuple) else (key,)))

    @property
    def shape_or_none(self) -> tuple[int | Size | None, ...]:
        """Its sizes; None for one that is no polynomial of the dynamic dimensions."""
        if self.samples is None or len(self.seen) < 2:
            return tuple(self.tensor.shape)
        find = self.samples.of_tensor if self._can_be_measured else self.samples.through
        return tuple(find(sizes) for sizes in zip(*self.seen, strict=True))

    @property
    def shape(self) -> Shape:
        """Its sizes, all of which must be known; RuntimeError otherwise."""
        sizes = self.shape_or_none
        if None in sizes:
            place = f"{self.call.place}: {self.call.name}" if self.call else "an input"
            raise RuntimeError(f"{place} has shapes {self.seen} as dynamic dimensions grow, which a file cannot say")
        return tuple(size for size in sizes if size is not None)
