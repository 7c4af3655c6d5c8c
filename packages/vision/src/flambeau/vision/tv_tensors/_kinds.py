"""Base class of ``tv_tensors``, and the classes without metadata."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar, Self

import numpy as np
from PIL import Image as PillowImage

import flambeau as fb
from flambeau.overrides import DisableTorchFunctionSubclass

_keeps_kind = False
_ALWAYS_KEEP = frozenset(("clone", "to", "detach", "requires_grad_", "pin_memory"))


class set_return_type:
    """Setting of the class that operators return: the class of the input (``"TVTensor"``), or ``"Tensor"``.

    A call changes the setting permanently; in a ``with`` statement, the change is limited to the block.
    Raises: ValueError for an unknown name.

    >>> image = Image(fb.zeros(3, 2, 2))
    >>> with set_return_type("TVTensor"):
    ...     brighter = image + 1
    >>> type(brighter).__name__, type(image + 1).__name__
    ('Image', 'Tensor')
    """

    def __init__(self, return_type: str) -> None:
        global _keeps_kind
        if return_type.lower() not in ("tensor", "tvtensor"):
            raise ValueError(f"return_type must be 'TVTensor' or 'Tensor', got {return_type}")
        self._before = _keeps_kind
        _keeps_kind = return_type.lower() == "tvtensor"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        global _keeps_kind
        _keeps_kind = self._before


class TVTensor(fb.Tensor):
    """Base class of the tensors that ``transforms.v2`` recognises.

    ``sample_kind`` says how transforms treat a class: ``"image"``, ``"mask"`` or ``"boxes"``.

    >>> class Heatmap(TVTensor):
    ...     sample_kind = "mask"
    >>> from flambeau.vision.transforms import v2
    >>> v2.RandomHorizontalFlip(p=1.0)(Image(fb.zeros(1, 1, 2)), Heatmap(fb.tensor([[0.0, 1.0]])))[1]
    Heatmap([[1., 0.]])
    """

    sample_kind: ClassVar[str] = ""

    def __new__(cls, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool | None = None) -> Self:
        return as_tensor(data, dtype, device, requires_grad).as_subclass(cls)

    @classmethod
    def wrap(cls, tensor: fb.Tensor, like: Any, **kwargs: Any) -> Self:
        """Convert a tensor to this class, with the metadata of ``like``."""
        return tensor.as_subclass(cls)

    @classmethod
    def _wrap_output(cls, output: Any, args: Sequence[Any]) -> Any:
        """Convert the tensors in the result of an operator to this class, with the metadata of its arguments."""
        if isinstance(output, fb.Tensor) and not isinstance(output, cls):
            return output.as_subclass(cls)
        if isinstance(output, list | tuple) and not isinstance(output, fb.Size):
            return type(output)(cls._wrap_output(part, args) for part in output)
        return output

    @classmethod
    def __torch_function__(
        cls,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        if not all(issubclass(cls, kind) for kind in types):
            return NotImplemented
        with DisableTorchFunctionSubclass():
            output = func(*args, **(kwargs or {}))
        keeps = getattr(func, "__name__", "") in _ALWAYS_KEEP and isinstance(args[0], cls)
        if keeps or _keeps_kind:
            return cls._wrap_output(output, args)
        return output.as_subclass(fb.Tensor) if isinstance(output, cls) else output

    def __deepcopy__(self, memo: dict[int, Any]) -> fb.Tensor:
        return self.detach().clone().requires_grad_(self.requires_grad)

    def _metadata(self) -> dict[str, Any]:
        """Return the metadata by name."""
        return {}

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        with DisableTorchFunctionSubclass():
            shown = super().__repr__()[:-1]
        known = "".join(f", {name}={value}" for name, value in self._metadata().items())
        return f"{shown}{known})"


def as_tensor(data: Any, dtype: Any, device: Any, requires_grad: bool | None) -> fb.Tensor:
    """Convert data to a plain tensor, which shares memory if possible."""
    if requires_grad is None:
        requires_grad = data.requires_grad if isinstance(data, fb.Tensor) else False
    plain = data.as_subclass(fb.Tensor) if isinstance(data, TVTensor) else data
    return fb.as_tensor(plain, dtype=dtype, device=device).requires_grad_(requires_grad)


def _planes(data: Any) -> Any:
    """Return a PIL image as a tensor ``(C, H, W)``, and other values unchanged."""
    if not isinstance(data, PillowImage.Image):
        return data
    return fb.from_numpy(np.atleast_3d(np.array(data)).transpose(2, 0, 1).copy())


class Image(TVTensor):
    """Image or batch of images ``(..., C, H, W)``.

    Args:
        data: argument of ``flambeau.as_tensor``, or a PIL image. ``(H, W)`` becomes ``(1, H, W)``.
        dtype, device, requires_grad: properties of the tensor. None takes the property from the data.
    Raises: ValueError for fewer than two dimensions.

    >>> Image(fb.zeros(2, 3)).shape
    flambeau.Size([1, 2, 3])
    """

    sample_kind = "image"

    def __new__(cls, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool | None = None) -> Self:
        tensor = as_tensor(_planes(data), dtype, device, requires_grad)
        if tensor.ndim < 2:
            raise ValueError(f"an image should have shape [..., C, H, W] or [H, W], got shape {list(tensor.shape)}")
        return (tensor[None] if tensor.ndim == 2 else tensor).as_subclass(cls)


class Video(TVTensor):
    """Video or batch of videos ``(..., T, C, H, W)``. Arguments as in :class:`Image`.

    Raises: ValueError for fewer than four dimensions.

    >>> from flambeau.vision.transforms import v2
    >>> v2.Resize(16)(Video(fb.zeros(8, 3, 32, 48))).shape
    flambeau.Size([8, 3, 16, 24])
    """

    sample_kind = "image"

    def __new__(cls, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool | None = None) -> Self:
        tensor = as_tensor(data, dtype, device, requires_grad)
        if tensor.ndim < 4:
            raise ValueError(f"Expected a video of shape [..., T, C, H, W], got shape {list(tensor.shape)}")
        return tensor.as_subclass(cls)


class Mask(TVTensor):
    """Masks ``(..., H, W)``: class indices, or one mask of 0 and 1 for each object. Arguments as in :class:`Image`.

    >>> from flambeau.vision.transforms import v2
    >>> image, mask = Image(fb.zeros(3, 1, 3)), Mask(fb.tensor([[0, 1, 2]]))
    >>> v2.RandomHorizontalFlip(p=1.0)(image, mask)[1]
    Mask([[2, 1, 0]])
    """

    sample_kind = "mask"

    def __new__(cls, data: Any, *, dtype: Any = None, device: Any = None, requires_grad: bool | None = None) -> Self:
        return as_tensor(_planes(data), dtype, device, requires_grad).as_subclass(cls)
