"""MONAI: networks, losses, measures and transforms of medical images."""

import numpy as np
import torch
from monai.data import CacheDataset, DataLoader, MetaTensor
from monai.inferers import sliding_window_inference
from monai.losses import DiceCELoss, DiceLoss, FocalLoss, GeneralizedDiceLoss, TverskyLoss
from monai.metrics import DiceMetric, HausdorffDistanceMetric, MeanIoU
from monai.networks.nets import UNETR, AttentionUnet, BasicUNet, DynUNet, SegResNet, UNet
from monai.transforms import (
    AsDiscrete,
    Compose,
    EnsureChannelFirst,
    EnsureChannelFirstd,
    Flip,
    NormalizeIntensity,
    Resize,
    Rotate90,
    ScaleIntensity,
    SpatialPad,
)

from tools.ecosystem.cases import fill, gradients, integers, normal


def _computed(model, *shape):
    masks = fill(model).eval()(normal(*shape))
    masks.square().mean().backward()
    return {"masks": masks, "lengths": torch.stack([value.double().norm() for value in gradients(model).values()])}


def networks():
    return {
        "unet": _computed(UNet(2, 1, 2, (4, 8, 16), (2, 2), num_res_units=1), 1, 1, 16, 16),
        "volumes": _computed(UNet(3, 1, 2, (4, 8, 16), (2, 2)), 1, 1, 16, 16, 16),
        "basic": _computed(BasicUNet(2, 1, 2, features=(4, 4, 8, 8, 16, 4)), 1, 1, 32, 32),
        "residual": _computed(SegResNet(2, 8, 1, 2), 1, 1, 32, 32),
        "dynamic": _computed(DynUNet(2, 1, 2, (3, 3, 3), (1, 2, 2), (2, 2)), 1, 1, 16, 16),
        "attention": _computed(AttentionUnet(2, 1, 2, (4, 8), (2,)), 1, 1, 16, 16),
        "transformer": _computed(UNETR(1, 2, (16, 16, 16), 4, 24, 32, 2), 1, 1, 16, 16, 16),
    }


def losses():
    scores, labels = normal(2, 3, 8, 8).requires_grad_(), integers(3, 2, 1, 8, 8)
    kinds = {
        "dice": DiceLoss(softmax=True, to_onehot_y=True),
        "both": DiceCELoss(softmax=True, to_onehot_y=True),
        "generalized": GeneralizedDiceLoss(softmax=True, to_onehot_y=True),
        "tversky": TverskyLoss(softmax=True, to_onehot_y=True),
        "focal": FocalLoss(to_onehot_y=True),
    }
    found = {name: loss(scores, labels) for name, loss in kinds.items()}
    sum(found.values()).backward()
    return {**found, "gradient": scores.grad}


def measures():
    masks = [AsDiscrete(to_onehot=3)(integers(3, 1, 8, 8, seed=seed))[None] for seed in range(2)]
    mean = DiceMetric(include_background=False)
    mean(*masks)
    return {"dice": mean.aggregate(), "distance": HausdorffDistanceMetric()(*masks), "iou": MeanIoU()(*masks)}


def transforms():
    steps = [
        EnsureChannelFirst(channel_dim="no_channel"),
        ScaleIntensity(),
        Resize((12, 10)),
        Flip(0),
        Rotate90(),
        SpatialPad((16, 16)),
        NormalizeIntensity(),
    ]
    image = Compose(steps)(np.random.default_rng(0).random((16, 14), dtype=np.float32))
    return {"image": image.as_tensor(), "affine": image.affine, "kinds": type(image + 1).__name__}


def loading():
    samples = [{"image": np.full((4, 4), i, dtype=np.float32), "label": i} for i in range(4)]
    data = CacheDataset(samples, EnsureChannelFirstd(["image"], channel_dim="no_channel"), progress=False)
    batches = list(DataLoader(data, batch_size=2))
    kept = MetaTensor(normal(1, 4, 4), affine=2 * torch.eye(4))
    return {
        "images": [batch["image"].as_tensor() for batch in batches],
        "labels": [batch["label"] for batch in batches],
        "affine": (kept * 2)[0].affine,
    }


def windows():
    return sliding_window_inference(normal(1, 1, 20, 20), (8, 8), 2, lambda part: part.tanh(), 0.25, mode="gaussian")
