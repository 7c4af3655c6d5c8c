"""Pytorch-metric-learning: losses of distances, miners, and measures of embeddings."""

import torch
from pytorch_metric_learning import distances, losses, miners, reducers, regularizers
from pytorch_metric_learning.utils.accuracy_calculator import AccuracyCalculator
from pytorch_metric_learning.utils.inference import InferenceModel

from tools.ecosystem.cases import fill, integers, normal


def losses_of_embeddings():
    kinds = {
        "contrastive": losses.ContrastiveLoss(),
        "triplet": losses.TripletMarginLoss(margin=0.2),
        "entropy": losses.NTXentLoss(temperature=0.2),
        "supervised": losses.SupConLoss(),
        "similarity": losses.MultiSimilarityLoss(),
        "circle": losses.CircleLoss(),
        "lifted": losses.GeneralizedLiftedStructureLoss(),
        "lifted_structure": losses.LiftedStructureLoss(),
        "angular": losses.AngularLoss(),
        "fast": losses.FastAPLoss(),
        "margin": losses.MarginLoss(),
        "pairs": losses.NPairsLoss(),
        "signal": losses.SignalToNoiseRatioContrastiveLoss(),
        "intra": losses.IntraPairVarianceLoss(),
        "tuplet": losses.TupletMarginLoss(),
    }
    return {name: _computed(loss) for name, loss in kinds.items()}


def losses_with_weights():
    kinds = {
        "arc": losses.ArcFaceLoss(4, 8),
        "cos": losses.CosFaceLoss(4, 8),
        "proxy": losses.ProxyAnchorLoss(4, 8),
        "nca": losses.ProxyNCALoss(4, 8),
        "soft": losses.SoftTripleLoss(4, 8, centers_per_class=2),
        "normalized": losses.NormalizedSoftmaxLoss(4, 8),
        "sphere": losses.SphereFaceLoss(4, 8),
        "sub": losses.SubCenterArcFaceLoss(num_classes=4, embedding_size=8),
        "large": losses.LargeMarginSoftmaxLoss(4, 8),
    }
    return {name: _computed(fill(loss)) for name, loss in kinds.items()}


def _computed(loss_of):
    embeddings = normal(12, 8).requires_grad_()
    loss = loss_of(embeddings, torch.arange(12) % 4)
    loss.backward()
    return {"loss": loss, "gradient": embeddings.grad, "weights": [value.grad for value in loss_of.parameters()]}


def miners_of_pairs():
    embeddings, labels = normal(16, 8), integers(4, 16)
    kinds = {
        "similarity": miners.MultiSimilarityMiner(epsilon=0.1),
        "triplets": miners.TripletMarginMiner(margin=0.2, type_of_triplets="semihard"),
        "hardest": miners.BatchHardMiner(),
        "easy": miners.BatchEasyHardMiner(),
        "pairs": miners.PairMarginMiner(),
    }
    return {name: list(miner(embeddings, labels)) for name, miner in kinds.items()}


def parts():
    loss_of = losses.TripletMarginLoss(
        distance=distances.CosineSimilarity(),
        reducer=reducers.ThresholdReducer(low=0),
        embedding_regularizer=regularizers.LpRegularizer(),
    )
    matrices = {
        name: getattr(distances, name)()(normal(5, 8)) for name in ("LpDistance", "SNRDistance", "DotProductSimilarity")
    }
    crossed = losses.CrossBatchMemory(losses.NTXentLoss(), embedding_size=8, memory_size=32)
    return {
        "loss": _computed(loss_of),
        "distances": matrices,
        "memory": [crossed(normal(6, 8, seed=step), torch.arange(6) % 3) for step in range(3)],
    }


def training():
    model = fill(torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Linear(16, 8)))
    head = fill(losses.ArcFaceLoss(4, 8, margin=20))
    optimizer = torch.optim.Adam([*model.parameters(), *head.parameters()], lr=1e-2)
    labels = torch.arange(16) % 4
    for step in range(5):
        optimizer.zero_grad()
        loss = head(model(normal(16, 6, seed=step)), labels)
        loss.backward()
        optimizer.step()
    return {"loss": loss, "scores": head.get_logits(model(normal(3, 6)))}


class _Nearest:
    """Exact search for nearest neighbours, in place of the libraries for fast search."""

    def __call__(self, query, k, reference=None, ref_includes_query=False):
        far = torch.cdist(query, reference)
        if ref_includes_query:
            far.fill_diagonal_(float("inf"))
        return torch.topk(far, min(k, reference.shape[0] - ref_includes_query), largest=False)


def measures():
    calculator = AccuracyCalculator(
        include=("precision_at_1", "r_precision", "mean_average_precision_at_r", "mean_average_precision"),
        knn_func=_Nearest(),
    )
    found = calculator.get_accuracy(normal(20, 4), torch.arange(20) % 4)
    finder = InferenceModel(torch.nn.Identity(), knn_func=_Nearest())
    return {**found, "same": finder.is_match(normal(3, 4), normal(3, 4), threshold=0.5)}
