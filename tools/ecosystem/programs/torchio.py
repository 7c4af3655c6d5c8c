"""Torchio: preprocessing and augmentation of medical images."""

import torch
import torchio

from tools.ecosystem.cases import uniform


def _subject():
    labels = (uniform(1, 12, 12, 12, seed=1) > 0.5).float()
    return torchio.Subject(
        image=torchio.ScalarImage(tensor=uniform(1, 12, 12, 12)), label=torchio.LabelMap(tensor=labels)
    )


def preprocessing():
    steps = [torchio.ToCanonical(), torchio.CropOrPad(10), torchio.ZNormalization(), torchio.OneHot()]
    changed = torchio.Compose(steps)(_subject())
    return {"image": changed.image.data, "label": changed.label.data}


def augmentation():
    kinds = {
        "affine": torchio.RandomAffine(),
        "elastic": torchio.RandomElasticDeformation(num_control_points=5, max_displacement=1.0),
        "bias": torchio.RandomBiasField(),
        "blur": torchio.RandomBlur(),
        "flip": torchio.RandomFlip(axes=(0, 1)),
        "gamma": torchio.RandomGamma(),
    }
    torch.manual_seed(0)
    return {name: transform(_subject()).image.data for name, transform in kinds.items()}


def patches():
    sampler = torchio.inference.GridSampler(_subject(), patch_size=6, patch_overlap=2)
    aggregator = torchio.inference.GridAggregator(sampler, overlap_mode="average")
    for batch in torch.utils.data.DataLoader(sampler, batch_size=4):
        aggregator.add_batch(2 * batch["image"][torchio.DATA], batch[torchio.LOCATION])
    return aggregator.get_output_tensor()
