"""Fastai: learners on tables, on pictures and on plain data."""

import random
import tempfile
import warnings

import numpy as np
import pandas as pd
from fastai.basics import SGD, Adam, Callback, DataLoader, DataLoaders, Learner, accuracy, ranger
from fastai.callback.all import EarlyStoppingCallback, GradientAccumulation, GradientClip, SaveModelCallback
from fastai.layers import AdaptiveConcatPool2d, ConvLayer, LinBnDrop, PixelShuffle_ICNR
from fastai.losses import CrossEntropyLossFlat, FocalLossFlat, LabelSmoothingCrossEntropyFlat
from fastai.tabular.all import Categorify, CategoryBlock, FillMissing, Normalize, TabularDataLoaders, tabular_learner
from fastai.vision.models import xresnet
from torch import nn
from torch.utils.data import TensorDataset

from tools.ecosystem.cases import fill, gradients, integers, normal


def _loaders():
    parts = [TensorDataset(normal(48, 6, seed=seed), normal(48, 6, seed=seed)[:, :3].argmax(1)) for seed in range(2)]
    return DataLoaders(*(DataLoader(part, bs=16, num_workers=0) for part in parts))


def _learner(folder, **options):
    net = fill(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)))
    options = {"loss_func": CrossEntropyLossFlat(), "metrics": accuracy, **options}
    return Learner(_loaders(), net, path=folder, **options)


def _values(learner):
    return [[float(value) for value in row] for row in learner.recorder.values]


def training():
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, optimizer in (("adam", Adam), ("sgd", SGD), ("ranger", ranger)):
            learner = _learner(folder, opt_func=optimizer)
            with learner.no_bar(), learner.no_logging():
                learner.fit_one_cycle(3, 0.02)
            scores, _ = learner.get_preds(ds_idx=1)
            results[name] = {"values": _values(learner), "scores": scores, "validated": list(learner.validate())}
    return results


class _Steps(Callback):
    def __init__(self):
        self.losses = []

    def after_batch(self):
        if self.training:
            self.losses.append(float(self.loss))


def callbacks_and_saving():
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        steps = _Steps()
        extra = [GradientClip(0.5), GradientAccumulation(32), steps]
        learner = _learner(folder, cbs=[*extra, SaveModelCallback(), EarlyStoppingCallback(patience=3)])
        with learner.no_bar(), learner.no_logging():
            learner.fit_flat_cos(3, 0.02)
            learner.save("last")
            other = _learner(folder).load("last", weights_only=False)
        return {"losses": steps.losses, "loaded": other.model.state_dict()}


def tables():
    random.seed(0)
    np.random.seed(0)
    generator = np.random.default_rng(0)
    table = pd.DataFrame(
        {"kind": generator.choice(["a", "b", "c"], 80), "size": generator.random(80), "age": generator.random(80)}
    )
    table["label"] = np.where(table["size"] > 0.5, "large", "small")
    loaders = TabularDataLoaders.from_df(
        table,
        procs=[Categorify, FillMissing, Normalize],
        cat_names=["kind"],
        cont_names=["size", "age"],
        y_names="label",
        y_block=CategoryBlock(),
        valid_idx=list(range(60, 80)),
        bs=20,
    )
    loaders.train.shuffle = False
    learner = tabular_learner(loaders, layers=[16, 8], metrics=accuracy)
    fill(learner.model)
    with learner.no_bar(), learner.no_logging():
        learner.fit(2, 0.01)
    _, category, probabilities = learner.predict(table.iloc[3])
    return {"values": _values(learner), "category": int(category), "probabilities": probabilities}


def layers():
    images = normal(2, 4, 8, 8).requires_grad_()
    parts = {
        "convolution": ConvLayer(4, 6),
        "pool": AdaptiveConcatPool2d(),
        "shuffle": PixelShuffle_ICNR(4, 4),
    }
    found = {}
    for name, part in parts.items():
        part = fill(part)
        result = part(images)
        result.square().mean().backward()
        found[name] = {"result": result, "gradients": gradients(part)}
    found["dense"] = fill(LinBnDrop(5, 3)).eval()(normal(4, 5))
    scores, labels = normal(6, 3), integers(3, 6)
    for loss in (FocalLossFlat(), LabelSmoothingCrossEntropyFlat(), CrossEntropyLossFlat()):
        found[type(loss).__name__] = loss(scores, labels)
    return found


def models_of_pictures():
    model = fill(xresnet.xresnet18(n_out=4)).eval()
    scores = model(normal(1, 3, 64, 64))
    scores.sum().backward()
    return {"scores": scores, "first": model[0][0].weight.grad}
