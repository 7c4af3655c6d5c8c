"""Selection of frames of videos."""

from __future__ import annotations

from typing import Any

import flambeau as fb

from ... import tv_tensors
from .._image import like_image
from ._queries import is_pure_tensor
from ._transform import Transform

__all__ = ["get_num_frames", "uniform_temporal_subsample"]


def _is_video(value: Any) -> bool:
    return isinstance(value, tv_tensors.Video) or is_pure_tensor(value)


def get_num_frames(inpt: fb.Tensor) -> int:
    """Return the number of frames of a video ``(..., T, C, H, W)``.

    Raises: TypeError for other types, ValueError for fewer than four dimensions.

    >>> get_num_frames(tv_tensors.Video(fb.zeros(8, 3, 4, 5)))
    8
    """
    if not _is_video(inpt):
        raise TypeError(f"a video should be a plain tensor or tv_tensors.Video, got {type(inpt)}")
    if inpt.ndim < 4:
        raise ValueError(f"a video should have shape [..., T, C, H, W], got shape {list(inpt.shape)}")
    return inpt.shape[-4]


def uniform_temporal_subsample(inpt: fb.Tensor, num_samples: int) -> fb.Tensor:
    """Select frames of a video ``(..., T, C, H, W)`` at equal distances, from the first to the last.

    Distances that are not integers are rounded down. If there are fewer frames than samples, frames are repeated.

    Args:
        inpt: a plain tensor or ``tv_tensors.Video``, which determines the class of the result.
        num_samples: number of frames of the result.
    Raises: TypeError for other types, ValueError for fewer than four dimensions.

    >>> video = fb.arange(10).reshape(10, 1, 1, 1)
    >>> uniform_temporal_subsample(video, 4).flatten()
    tensor([0, 3, 6, 9])
    """
    last = get_num_frames(inpt) - 1
    frames = fb.linspace(0, last, num_samples, device=inpt.device).to(fb.int64)
    return like_image(inpt.as_subclass(fb.Tensor).index_select(-4, frames), inpt)


class UniformTemporalSubsample(Transform):
    """Select frames of videos at equal distances. Images do not change. See :func:`uniform_temporal_subsample`.

    >>> UniformTemporalSubsample(4)(tv_tensors.Video(fb.zeros(10, 3, 8, 8))).shape
    flambeau.Size([4, 3, 8, 8])
    """

    def __init__(self, num_samples: int) -> None:
        super().__init__()
        self.num_samples = num_samples

    def transform(self, inpt: Any) -> Any:
        return uniform_temporal_subsample(inpt, self.num_samples) if _is_video(inpt) else inpt

    def extra_repr(self) -> str:
        return f"num_samples={self.num_samples}"
