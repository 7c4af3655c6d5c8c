"""Torcheval: metrics as functions and as accumulators."""

from torcheval import metrics
from torcheval.metrics import functional
from torcheval.metrics.toolkit import clone_metrics

from tools.ecosystem.cases import integers, uniform


def functions():
    scores, labels = uniform(40), integers(2, 40)
    logits, classes = uniform(40, 5), integers(5, 40)
    return {
        "binary_accuracy": functional.binary_accuracy(scores, labels),
        "accuracy": functional.multiclass_accuracy(logits, classes, average="macro", num_classes=5),
        "top": functional.topk_multilabel_accuracy(
            logits, (uniform(40, 5, seed=1) > 0.5).long(), criteria="hamming", k=2
        ),
        "confusion": functional.multiclass_confusion_matrix(logits, classes, num_classes=5, normalize="true"),
        "f1": functional.multiclass_f1_score(logits, classes, num_classes=5, average=None),
        "precision": functional.multiclass_precision(logits, classes, num_classes=5, average="weighted"),
        "recall": functional.multiclass_recall(logits, classes, num_classes=5, average="macro"),
        "auroc": functional.binary_auroc(scores, labels),
        "auprc": functional.multiclass_auprc(logits, classes, num_classes=5, average=None),
        "curve": list(functional.binary_precision_recall_curve(scores, labels)),
        "entropy": functional.binary_normalized_entropy(scores, labels.float()),
        "error": functional.mean_squared_error(logits, uniform(40, 5, seed=1), multioutput="raw_values"),
        "r2": functional.r2_score(logits, uniform(40, 5, seed=1)),
        "perplexity": functional.perplexity(logits[None], classes[None]),
        "hits": functional.hit_rate(logits, classes, k=3),
        "rank": functional.reciprocal_rank(logits, classes),
        "words": functional.word_error_rate(["hello there world"], ["hello world"]),
        "bleu": functional.bleu_score(
            ["the cat sat on the mat"], [["the cat sat on a mat", "a cat sat on the mat"]], n_gram=3
        ),
        "psnr": functional.peak_signal_noise_ratio(uniform(1, 3, 4, 4), uniform(1, 3, 4, 4, seed=1)),
    }


def accumulated():
    kinds = {
        "accuracy": metrics.MulticlassAccuracy(num_classes=5),
        "f1": metrics.MulticlassF1Score(num_classes=5, average="macro"),
        "auroc": metrics.MulticlassAUROC(num_classes=5),
        "confusion": metrics.MulticlassConfusionMatrix(5),
    }
    halves = {name: clone_metrics([metric])[0] for name, metric in kinds.items()}
    for step in range(4):
        for metric in (kinds if step % 2 else halves).values():
            metric.update(uniform(16, 5, seed=step), integers(5, 16, seed=step))
    merged = {name: metric.merge_state([halves[name]]).compute() for name, metric in kinds.items()}
    mean = metrics.Mean()
    mean.update(uniform(5), weight=uniform(5, seed=1))
    return {
        "merged": merged,
        "mean": mean.compute(),
        "states": {name: metric.state_dict() for name, metric in halves.items()},
    }
