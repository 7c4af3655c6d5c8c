"""Values of a trace: tensors at one point of the program."""

from __future__ import annotations

from dataclasses import dataclass, field

from flambeau import Tensor, _core
from flambeau._tracing import _recorder

from ._sizes import Samples, Size

Shape = tuple[int | Size, ...]
# Operators whose converters do not need the sizes of their results. A size of such a result that is not a polynomial of
# the inputs' sizes is measured when the file runs. Sizes of other results are computed from measured sizes.
MEASURED = {"pad", "cat", "nonzero", "_nms", "convolution", "max_pool1d"}
MEASURED |= {"conv1d", "conv2d", "conv3d"}
MEASURED |= {"max_pool2d", "max_pool3d", "avg_pool1d", "avg_pool2d", "avg_pool3d", "topk", "linear"}


@dataclass(eq=False, kw_only=True)
class Value(_recorder.Value):
    """Value of a tensor at one point of a trace; an in-place change creates a new value.

    Attributes:
        tensor: the tensor at that point. Its elements matter only if the value does not depend on inputs.
        call: the call that computed the value; None for inputs, parameters and other existing tensors.
        input: index of the input, or None.
    """

    tensor: Tensor
    call: _recorder.Call | None = None
    input: int | None = None
    seen: list[tuple[int, ...]] = field(default_factory=list)  # shapes in all traces
    samples: Samples | None = None

    @property
    def dtype(self) -> _core.dtype:
        return self.tensor.dtype

    @property
    def ndim(self) -> int:
        return self.tensor.ndim

    def size_name(self, axis: int) -> str:
        """Return the name of the measured dimension for the size of ``axis``."""
        return f"{self.call.name if self.call else 'input'}_{self.name[1:]}_{axis}"

    @property
    def _can_be_measured(self) -> bool:
        """True if the file may measure an unknown size of this value, because its converter does not need the size."""
        if self.call is None or self.call.name != "__getitem__":
            return self.call is None or self.call.name in MEASURED
        key = self.call.arguments["key"]
        return all(isinstance(part, slice) for part in (key if isinstance(key, tuple) else (key,)))

    @property
    def shape_or_none(self) -> tuple[int | Size | None, ...]:
        """Sizes of the value; None for a size that is not a polynomial of the dynamic dimensions."""
        if self.samples is None or len(self.seen) < 2:
            return tuple(self.tensor.shape)
        find = self.samples.of_tensor if self._can_be_measured else self.samples.through
        return tuple(find(sizes) for sizes in zip(*self.seen, strict=True))

    @property
    def shape(self) -> Shape:
        """Sizes of the value. Raises RuntimeError if a size is unknown."""
        sizes = self.shape_or_none
        if None in sizes:
            producer = f"{self.call.location}: {self.call.name}" if self.call else "an input"
            raise RuntimeError(
                f"{producer} has shapes {self.seen} for growing dynamic dimensions, which an ONNX file cannot express: "
                "only sums and products of sizes can be exported"
            )
        return tuple(size for size in sizes if size is not None)
