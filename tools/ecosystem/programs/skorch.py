"""Skorch: networks as estimators of scikit-learn."""

import pickle
import tempfile
import warnings
from pathlib import Path

import numpy as np
import torch
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier, NeuralNetRegressor
from skorch.callbacks import (
    Checkpoint,
    EarlyStopping,
    EpochScoring,
    Freezer,
    GradientNormClipping,
    LRScheduler,
    TrainEndCheckpoint,
)
from skorch.dataset import Dataset, ValidSplit
from skorch.helper import SliceDataset, predefined_split
from torch import nn

from tools.ecosystem.cases import fill

_RANDOM = np.random.default_rng(0)
X = _RANDOM.standard_normal((90, 6), dtype=np.float32)
Y = np.argmax(X @ _RANDOM.standard_normal((6, 3), dtype=np.float32), 1)


class _Net(nn.Module):
    def __init__(self, width=10, outputs=3, probabilities=True):
        super().__init__()
        self.first, self.second = nn.Linear(6, width), nn.Linear(width, outputs)
        self.probabilities = probabilities
        fill(self)

    def forward(self, X):
        scores = self.second(torch.relu(self.first(X)))
        return scores.softmax(-1) if self.probabilities else scores


def _classifier(**options):
    options = {"max_epochs": 4, "lr": 0.1, "iterator_train__shuffle": False, "verbose": 0, **options}
    return NeuralNetClassifier(_Net, **options)


def classification():
    net = _classifier().fit(X, Y)
    return {
        "probabilities": net.predict_proba(X[:10]),
        "classes": net.predict(X),
        "score": net.score(X, Y),
        "losses": net.history[:, ("train_loss", "valid_loss", "valid_acc")],
    }


def regression_and_binary_classes():
    options = {"max_epochs": 3, "lr": 0.05, "verbose": 0, "module__outputs": 1, "module__probabilities": False}
    regressor = NeuralNetRegressor(_Net, optimizer=torch.optim.Adam, **options)
    regressor.fit(X, X[:, :1] * X[:, 1:2])

    class Flat(_Net):
        def forward(self, X):
            return super().forward(X)[:, 0]

    binary = NeuralNetBinaryClassifier(Flat, **options).fit(X, (Y > 0).astype(np.float32))
    return {"predicted": regressor.predict(X[:20]), "probabilities": binary.predict_proba(X[:20])}


def pipelines_and_searches():
    pipeline = make_pipeline(StandardScaler(), _classifier(train_split=None))
    scores = cross_val_score(pipeline, X, Y, cv=3)
    search = GridSearchCV(
        _classifier(train_split=False), {"lr": [0.01, 0.2], "module__width": [4, 10]}, cv=3, refit=True
    )
    search.fit(X, Y)
    return {"scores": scores, "best": search.best_params_, "means": search.cv_results_["mean_test_score"]}


def callbacks():
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        net = _classifier(
            max_epochs=8,
            optimizer=torch.optim.SGD,
            optimizer__momentum=0.9,
            callbacks=[
                ("schedule", LRScheduler("StepLR", step_size=2)),
                ("stop", EarlyStopping(patience=2)),
                ("clip", GradientNormClipping(1.0)),
                ("f1", EpochScoring("f1_macro", lower_is_better=False)),
                ("freeze", Freezer("first.bias")),
                ("best", Checkpoint(dirname=folder)),
                ("end", TrainEndCheckpoint(dirname=folder)),
            ],
        )
        net.fit(X, Y)
        other = _classifier(optimizer__momentum=0.9).initialize()
        other.load_params(checkpoint=Checkpoint(dirname=folder))
        return {
            "f1": net.history[:, "f1_macro"],
            "rates": net.history[:, "event_lr"],
            "files": sorted(path.name for path in Path(folder).iterdir()),
            "loaded": other.module_.state_dict(),
            "frozen": net.module_.first.bias.requires_grad,
        }


def saving():
    with tempfile.TemporaryDirectory() as folder:
        net = _classifier().fit(X, Y)
        path = str(Path(folder, "net.pt"))
        net.save_params(f_params=path)
        other = _classifier().initialize()
        other.load_params(f_params=path)
        again = pickle.loads(pickle.dumps(net))
        again.partial_fit(X, Y)
        return {"loaded": other.predict_proba(X[:5]), "further": again.predict_proba(X[:5])}


def data_sets():
    pairs, held = Dataset(X[:60], Y[:60]), Dataset(X[60:], Y[60:])
    fixed = _classifier(train_split=predefined_split(held)).fit(pairs, y=None)
    split = _classifier(train_split=ValidSplit(3, stratified=True)).fit(X, Y)
    return {
        "fixed": fixed.history[:, "valid_loss"],
        "split": split.history[:, "valid_loss"],
        "sliced": np.stack([SliceDataset(pairs)[i] for i in range(3)]),
    }
