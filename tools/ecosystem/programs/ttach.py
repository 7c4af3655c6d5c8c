"""Ttach: test-time augmentation. Predictions for transformed images are transformed back and merged."""

import torch
import ttach

from tools.ecosystem.cases import fill, uniform


def merged():
    transforms = ttach.Compose(
        [
            ttach.HorizontalFlip(),
            ttach.Rotate90(angles=[0, 180]),
            ttach.Scale(scales=[1, 2]),
            ttach.Multiply(factors=[0.9, 1]),
        ]
    )
    model = fill(torch.nn.Conv2d(3, 2, 3, padding=1))
    wrapped = ttach.SegmentationTTAWrapper(model, transforms, merge_mode="mean")
    images = uniform(1, 3, 8, 8)
    classifier = torch.nn.Sequential(model, torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten())
    modes = ("mean", "gmean", "sum", "max", "min", "tsharpen")
    return {
        "masks": wrapped(images),
        "labels": {
            mode: ttach.ClassificationTTAWrapper(
                torch.nn.Sequential(classifier, torch.nn.Sigmoid()),
                ttach.aliases.five_crop_transform(6, 6),
                merge_mode=mode,
            )(images)
            for mode in modes
        },
        "keypoints": ttach.KeypointsTTAWrapper(
            torch.nn.Sequential(classifier, torch.nn.Sigmoid()), ttach.aliases.flip_transform(), scaled=True
        )(images),
    }
