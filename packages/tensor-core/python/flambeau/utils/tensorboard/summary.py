"""Functions that create the summaries of event files, re-exported from tensorboardX."""

from tensorboardX.summary import (
    audio,
    custom_scalars,
    histogram,
    histogram_raw,
    hparams,
    image,
    image_boxes,
    make_histogram,
    make_image,
    make_video,
    mesh,
    pr_curve,
    pr_curve_raw,
    scalar,
    text,
    video,
)

__all__ = [
    "audio",
    "custom_scalars",
    "histogram",
    "histogram_raw",
    "hparams",
    "image",
    "image_boxes",
    "make_histogram",
    "make_image",
    "make_video",
    "mesh",
    "pr_curve",
    "pr_curve_raw",
    "scalar",
    "text",
    "video",
]
