"""Torchmetrics: metrics that accumulate their states batch by batch."""

import warnings

import torch
import torchmetrics
from torchmetrics import (
    MetricCollection,
    classification,
    clustering,
    image,
    nominal,
    regression,
    retrieval,
    segmentation,
    wrappers,
)
from torchmetrics.aggregation import CatMetric, MaxMetric, MeanMetric, RunningMean, SumMetric
from torchmetrics.functional import pairwise_cosine_similarity, pairwise_euclidean_distance

from tools.ecosystem.cases import integers, normal, uniform


def _over(metric, *batches, **options):
    """Return the value of a metric for all batches, for the first batch, and after a reset."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        first = metric(*batches[0], **options)
        for batch in batches[1:]:
            metric.update(*batch, **options)
        every = metric.compute()
        metric.reset()
        metric.update(*batches[0], **options)
        return {"first": first, "every": every, "again": metric.compute()}


def classes():
    batches = [(normal(30, 4, seed=seed).softmax(1), integers(4, 30, seed=seed)) for seed in range(3)]
    task = {"task": "multiclass", "num_classes": 4}
    metrics = {
        name: getattr(torchmetrics, name)(**task)
        for name in (
            *("Accuracy", "AveragePrecision", "AUROC", "CalibrationError", "CohenKappa", "ConfusionMatrix"),
            *("F1Score", "HammingDistance", "HingeLoss", "JaccardIndex", "MatthewsCorrCoef"),
            *("Precision", "Recall", "ROC", "Specificity", "StatScores", "PrecisionRecallCurve"),
        )
    }
    metrics["averages"] = classification.MulticlassF1Score(4, average=None)
    metrics["top"] = classification.MulticlassAccuracy(4, top_k=2, average="micro")
    metrics["binned"] = classification.MulticlassAUROC(4, thresholds=10)
    return {name: _over(metric, *batches) for name, metric in metrics.items()}


def two_classes_and_labels():
    batches = [(uniform(40, seed=seed), integers(2, 40, seed=seed)) for seed in range(2)]
    found = {
        name: _over(getattr(torchmetrics, name)(task="binary"), *batches)
        for name in (
            *("Accuracy", "AveragePrecision", "AUROC", "CalibrationError", "CohenKappa", "F1Score", "HammingDistance"),
            *("HingeLoss", "JaccardIndex", "MatthewsCorrCoef", "Precision", "Recall", "ROC", "Specificity"),
        )
    }
    labels = [(uniform(20, 3, seed=seed), integers(2, 20, 3, seed=seed)) for seed in range(2)]
    ranked = [classification.MultilabelCoverageError, classification.MultilabelRankingLoss]
    for kind in (*ranked, classification.MultilabelRankingAveragePrecision, classification.MultilabelExactMatch):
        found[kind.__name__] = _over(kind(3), *labels)
    for kind in (classification.MultilabelF1Score, classification.MultilabelAUROC):
        found[kind.__name__] = _over(kind(3), *labels)
    found["at_recall"] = _over(classification.BinaryPrecisionAtFixedRecall(0.5), *batches)
    found["dice"] = _over(
        segmentation.DiceScore(3, input_format="index"), (integers(3, 4, 9, 9), integers(3, 4, 9, 9, seed=1))
    )
    return found


def numbers():
    batches = [(uniform(30, seed=seed) + 0.1, uniform(30, seed=seed + 9) + 0.1) for seed in range(2)]
    names = (
        *("ConcordanceCorrCoef", "ExplainedVariance", "KendallRankCorrCoef", "LogCoshError", "MeanAbsoluteError"),
        *("MeanAbsolutePercentageError", "MeanSquaredError", "MeanSquaredLogError", "PearsonCorrCoef", "R2Score"),
        *("RelativeSquaredError", "SpearmanCorrCoef", "SymmetricMeanAbsolutePercentageError", "TweedieDevianceScore"),
        *("WeightedMeanAbsolutePercentageError", "NormalizedRootMeanSquaredError"),
    )
    found = {name: _over(getattr(regression, name)(), *batches) for name in names}
    rows = [(a.view(10, 3), b.view(10, 3)) for a, b in batches]
    found["cosine"] = _over(regression.CosineSimilarity("mean"), *rows)
    found["divergence"] = _over(regression.KLDivergence(), *[(a.softmax(1), b.softmax(1)) for a, b in rows])
    found["minkowski"] = _over(regression.MinkowskiDistance(3), *batches)
    found["pairs"] = [pairwise_cosine_similarity(*rows[0]), pairwise_euclidean_distance(*rows[0])]
    return found


def images_and_sounds():
    a = uniform(2, 3, 48, 48)
    batch = (a, 0.7 * a + 0.3 * uniform(2, 3, 48, 48, seed=1))
    measures = {
        "psnr": image.PeakSignalNoiseRatio(data_range=1.0),
        "ssim": image.StructuralSimilarityIndexMeasure(data_range=1.0),
        "uqi": image.UniversalImageQualityIndex(),
        "ergas": image.ErrorRelativeGlobalDimensionlessSynthesis(),
        "sam": image.SpectralAngleMapper(),
        "rmse": image.RootMeanSquaredErrorUsingSlidingWindow(),
        "scc": image.SpatialCorrelationCoefficient(),
    }
    found = {name: _over(measure, batch) for name, measure in measures.items()}
    found["variation"] = _over(image.TotalVariation(), (a,))
    sounds = (normal(2, 400), normal(2, 400) + 0.2 * normal(2, 400, seed=1))
    for name in ("ScaleInvariantSignalDistortionRatio", "ScaleInvariantSignalNoiseRatio", "SignalNoiseRatio"):
        found[name] = _over(getattr(torchmetrics.audio, name)(), sounds)
    return found


def texts():
    said = ["the cat sat on the mat", "a quick brown fox"]
    meant = ["the cat is on the mat", "the quick brown fox"]
    names = ("CharErrorRate", "MatchErrorRate", "WordErrorRate", "WordInfoLost", "WordInfoPreserved", "EditDistance")
    found = {name: _over(getattr(torchmetrics.text, name)(), (said, meant)) for name in names}
    found["bleu"] = _over(torchmetrics.text.BLEUScore(n_gram=2), (said, [[each] for each in meant]))
    found["chrf"] = _over(torchmetrics.text.CHRFScore(), (said, [[each] for each in meant]))
    found["perplexity"] = _over(torchmetrics.text.Perplexity(), (normal(2, 5, 7).softmax(-1), integers(7, 2, 5)))
    return found


def rankings_groups_and_associations():
    scores, wanted, queries = uniform(30), integers(2, 30), integers(5, 30, seed=2)
    names = ("RetrievalMAP", "RetrievalMRR", "RetrievalNormalizedDCG", "RetrievalPrecision", "RetrievalRecall")
    found = {name: _over(getattr(retrieval, name)(), (scores, wanted), indexes=queries) for name in names}
    a, b = integers(4, 50), integers(4, 50, seed=1)
    for name in ("AdjustedRandScore", "MutualInfoScore", "NormalizedMutualInfoScore", "VMeasureScore", "RandScore"):
        found[name] = _over(getattr(clustering, name)(), (a, b))
    found["davies"] = _over(clustering.DaviesBouldinScore(), (normal(50, 3), a))
    for name in ("CramersV", "TheilsU", "TschuprowsT"):
        found[name] = _over(getattr(nominal, name)(num_classes=4), (a, b))
    return found


def collections_and_states():
    together = MetricCollection(
        [
            classification.MulticlassAccuracy(3),
            classification.MulticlassPrecision(3),
            classification.MulticlassF1Score(3),
        ],
        prefix="val_",
    )
    tracker = wrappers.MetricTracker(together.clone(), maximize=True)
    for epoch in range(2):
        tracker.increment()
        tracker.update(normal(20, 3, seed=epoch).softmax(1), integers(3, 20, seed=epoch))
    mean = MeanMetric()
    mean.persistent(True)
    mean.update(normal(5), weight=uniform(5))
    other = MeanMetric()
    other.persistent(True)
    other.load_state_dict(mean.state_dict())
    several = wrappers.MultioutputWrapper(regression.R2Score(), 2)
    composed = regression.MeanSquaredError() + 2 * regression.MeanAbsoluteError()
    composed.update(normal(8), normal(8, seed=1))
    gathered = CatMetric()
    gathered.update(normal(3)), gathered.update(normal(2, seed=1))
    running = RunningMean(window=3)
    return {
        "best": {name: float(value) for name, value in tracker.best_metric().items()},
        "loaded": other.compute(),
        "several": several(normal(9, 2), normal(9, 2, seed=1)),
        "composed": composed.compute(),
        "gathered": gathered.compute(),
        "running": [running(float(step)) for step in range(5)],
        "most": [MaxMetric()(normal(6)), SumMetric()(normal(6))],
        "smallest": _over(wrappers.MinMaxMetric(regression.MeanSquaredError()), (normal(5), normal(5, seed=1))),
        "moved": together.to(torch.float64)["MulticlassAccuracy"].tp.dtype.itemsize,
    }
