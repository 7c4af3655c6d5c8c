"""Ignite: engines, their events, and metrics that are attached to them."""

import io
import tempfile
from pathlib import Path

import torch
from ignite.contrib.handlers import ProgressBar
from ignite.engine import (
    DeterministicEngine,
    Engine,
    Events,
    create_supervised_evaluator,
    create_supervised_trainer,
)
from ignite.handlers import (
    Checkpoint,
    CosineAnnealingScheduler,
    DiskSaver,
    EarlyStopping,
    EMAHandler,
    LRScheduler,
    PiecewiseLinear,
    TerminateOnNan,
    Timer,
    create_lr_scheduler_with_warmup,
)
from ignite.metrics import (
    PSNR,
    SSIM,
    Accuracy,
    ConfusionMatrix,
    Fbeta,
    IoU,
    Loss,
    MeanAbsoluteError,
    MeanSquaredError,
    Precision,
    Recall,
    RootMeanSquaredError,
    RunningAverage,
    TopKCategoricalAccuracy,
    mIoU,
)
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tools.ecosystem.cases import fill, integers, normal, uniform


def _model():
    return fill(nn.Sequential(nn.Linear(6, 12), nn.ReLU(), nn.Linear(12, 3)))


def _loader(seed=0):
    return DataLoader(TensorDataset(normal(40, 6, seed=seed), integers(3, 40, seed=seed)), batch_size=8)


def training():
    model, losses = _model(), []
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss(), gradient_accumulation_steps=2)
    metrics = {"accuracy": Accuracy(), "loss": Loss(nn.CrossEntropyLoss()), "recall": Recall(average=True)}
    evaluator = create_supervised_evaluator(model, metrics)
    RunningAverage(output_transform=lambda loss: loss).attach(trainer, "running")
    trainer.add_event_handler(Events.ITERATION_COMPLETED, TerminateOnNan())
    Timer(average=True).attach(trainer)

    @trainer.on(Events.EPOCH_COMPLETED(every=2))
    def evaluate(engine):
        evaluator.run(_loader(1))
        losses.append({**evaluator.state.metrics, "running": engine.state.metrics["running"]})

    trainer.run(_loader(), max_epochs=4)
    return {"metrics": losses, "parameters": model.state_dict(), "iterations": trainer.state.iteration}


def stopping_checkpoints_and_averages():
    with tempfile.TemporaryDirectory() as folder:
        model = _model()
        optimizer = torch.optim.SGD(model.parameters(), 0.2)
        trainer = create_supervised_trainer(model, optimizer, nn.CrossEntropyLoss())
        evaluator = create_supervised_evaluator(model, {"loss": Loss(nn.CrossEntropyLoss())})
        averages = EMAHandler(model, momentum=0.1)
        averages.attach(trainer)
        trainer.add_event_handler(Events.EPOCH_COMPLETED, lambda: evaluator.run(_loader(1)))

        def score(engine):
            return -engine.state.metrics["loss"]

        evaluator.add_event_handler(Events.COMPLETED, EarlyStopping(2, score, trainer))
        everything = {"model": model, "optimizer": optimizer, "trainer": trainer}
        saver = Checkpoint(everything, DiskSaver(folder, create_dir=False), n_saved=2, score_function=score)
        evaluator.add_event_handler(Events.COMPLETED, saver)
        trainer.run(_loader(), max_epochs=12)
        other = _model()
        Checkpoint.load_objects({"model": other}, torch.load(Path(folder, saver.last_checkpoint)))
        return {
            "epochs": trainer.state.epoch,
            "saved": len(list(Path(folder).iterdir())),
            "loaded": other.state_dict(),
            "averages": averages.ema_model.state_dict(),
        }


def schedules():
    rates = {}
    for name in ("cosine", "piecewise", "warm"):
        optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
        if name == "cosine":
            schedule = CosineAnnealingScheduler(optimizer, "lr", 0.1, 0.01, 8)
        elif name == "piecewise":
            schedule = PiecewiseLinear(optimizer, "lr", [(2, 0.1), (6, 0.5), (10, 0.0)])
        else:
            step = LRScheduler(torch.optim.lr_scheduler.StepLR(optimizer, 3, gamma=0.5))
            schedule = create_lr_scheduler_with_warmup(step, 0.0, 4)
        engine = Engine(lambda engine, batch: None)
        engine.add_event_handler(Events.ITERATION_STARTED, schedule)
        seen = rates[name] = []

        def note(engine, optimizer, seen):
            seen.append(optimizer.param_groups[0]["lr"])

        engine.add_event_handler(Events.ITERATION_COMPLETED, note, optimizer, seen)
        engine.run(range(12), max_epochs=1)
    return rates


def metrics():
    scores, labels = uniform(50, 4), integers(4, 50)
    found = {}
    matrix = ConfusionMatrix(num_classes=4)
    precision, recall = Precision(average=False), Recall(average=False)
    of_classes = {
        "accuracy": Accuracy(),
        "top2": TopKCategoricalAccuracy(2),
        "precision": precision,
        "recall": recall,
        "f2": Fbeta(2.0, precision=precision, recall=recall),
        "matrix": matrix,
        "iou": IoU(matrix),
        "miou": mIoU(matrix),
    }
    of_numbers = {"mse": MeanSquaredError(), "mae": MeanAbsoluteError(), "rmse": RootMeanSquaredError()}
    of_images = {"psnr": PSNR(data_range=1.0), "ssim": SSIM(data_range=1.0)}
    images = uniform(4, 3, 24, 24), 0.8 * uniform(4, 3, 24, 24) + 0.2 * uniform(4, 3, 24, 24, seed=1)
    batches = [(of_classes, (scores, labels)), (of_numbers, (scores[:, 0], scores[:, 1])), (of_images, images)]
    for group, pair in batches:
        engine = Engine(lambda engine, batch, pair=pair: pair)
        for name, metric in group.items():
            metric.attach(engine, name)
        found |= engine.run([0, 1]).metrics
    return {name: value for name, value in found.items() if name in {**of_classes, **of_numbers, **of_images}}


def deterministic_engines_and_events():
    seen = []
    engine = DeterministicEngine(lambda engine, batch: seen.append(batch[1].tolist()))
    ProgressBar(persist=False, file=io.StringIO()).attach(engine)
    engine.add_event_handler(Events.ITERATION_COMPLETED(once=3), lambda: seen.append("third"))
    engine.run(_loader(), max_epochs=2)
    return {"seen": seen, "state": {name: value for name, value in engine.state_dict().items() if name != "rng_states"}}
