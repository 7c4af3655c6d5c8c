"""Lightning: modules that define their training steps, trainers and callbacks."""

import contextlib
import io
import tempfile
import warnings
from pathlib import Path

import lightning as L
import torch
from lightning.fabric import Fabric
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    ModelSummary,
    StochasticWeightAveraging,
    TQDMProgressBar,
)
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tools.ecosystem.cases import fill, integers, normal


class _Classifier(L.LightningModule):
    def __init__(self, width=16, lr=0.05):
        super().__init__()
        self.save_hyperparameters()
        self.net = nn.Sequential(nn.Linear(8, width), nn.ReLU(), nn.Linear(width, 3))
        self.losses = []

    def forward(self, x):
        return self.net(x)

    def training_step(self, batch, batch_idx):
        x, y = batch
        loss = nn.functional.cross_entropy(self(x), y)
        self.log("train_loss", loss, on_step=True, on_epoch=True, prog_bar=True)
        self.losses.append(loss.item())
        return loss

    def validation_step(self, batch, batch_idx):
        x, y = batch
        scores = self(x)
        self.log_dict(
            {"val_loss": nn.functional.cross_entropy(scores, y), "val_acc": (scores.argmax(1) == y).float().mean()}
        )

    def test_step(self, batch, batch_idx):
        x, y = batch
        self.log("test_loss", nn.functional.cross_entropy(self(x), y))

    def predict_step(self, batch, batch_idx):
        return self(batch[0]).softmax(1)

    def configure_optimizers(self):
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.hparams.lr)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=12)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class _Data(L.LightningDataModule):
    def __init__(self, batch_size=16):
        super().__init__()
        self.batch_size = batch_size

    def setup(self, stage):
        x = normal(96, 8)
        y = (x @ normal(8, 3, seed=1)).argmax(1)
        self.parts = {"train": (x[:64], y[:64]), "val": (x[64:80], y[64:80]), "test": (x[80:], y[80:])}

    def _loader(self, part):
        return DataLoader(TensorDataset(*self.parts[part]), batch_size=self.batch_size)

    def train_dataloader(self):
        return self._loader("train")

    def val_dataloader(self):
        return self._loader("val")

    def test_dataloader(self):
        return self._loader("test")

    def predict_dataloader(self):
        return self._loader("test")


def _trainer(folder, **options):
    options = {
        "max_epochs": 3,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "logger": False,
        **options,
    }
    return L.Trainer(accelerator="cpu", devices=1, default_root_dir=folder, log_every_n_steps=1, **options)


@contextlib.contextmanager
def _quietly():
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(io.StringIO()):
            yield folder


def _numbers(metrics):
    return {name: float(value) for name, value in metrics.items()}


def fit_validate_test_predict():
    with _quietly() as folder:
        model, trainer = fill(_Classifier()), _trainer(folder)
        trainer.fit(model, datamodule=_Data())
        return {
            "losses": model.losses,
            "fitted": _numbers(trainer.callback_metrics),
            "validated": trainer.validate(model, datamodule=_Data(), verbose=False),
            "tested": trainer.test(model, datamodule=_Data(), verbose=False),
            "predicted": torch.cat(trainer.predict(model, datamodule=_Data())),
            "parameters": model.state_dict(),
            "steps": trainer.global_step,
        }


def callbacks_and_loggers():
    with _quietly() as folder:
        best = ModelCheckpoint(folder, monitor="val_loss", save_top_k=2, save_last=True, filename="{epoch}-{step}")
        model = fill(_Classifier())
        trainer = _trainer(
            folder,
            max_epochs=6,
            callbacks=[
                best,
                EarlyStopping("val_loss", patience=1, min_delta=0.2),
                LearningRateMonitor("step"),
                ModelSummary(max_depth=2),
                TQDMProgressBar(),
            ],
            enable_progress_bar=True,
            enable_checkpointing=True,
            enable_model_summary=True,
            logger=[CSVLogger(folder, "csv"), TensorBoardLogger(folder, "board", log_graph=False)],
        )
        trainer.fit(model, datamodule=_Data())
        table = Path(folder, "csv", "version_0", "metrics.csv").read_text().splitlines()
        return {
            "epochs": trainer.current_epoch,
            "best": float(best.best_model_score),
            "files": sorted(path.name for path in Path(folder).glob("*.ckpt")),
            "columns": table[0],
            "rows": len(table),
            "events": len(list(Path(folder, "board", "version_0").glob("events*"))),
        }


def checkpoints():
    with _quietly() as folder:
        first = _trainer(folder, max_epochs=2)
        model = fill(_Classifier(width=12))
        first.fit(model, datamodule=_Data())
        path = str(Path(folder, "two.ckpt"))
        first.save_checkpoint(path)
        loaded = _Classifier.load_from_checkpoint(path)
        resumed, again = _trainer(folder, max_epochs=4), _Classifier(width=12)
        resumed.fit(again, datamodule=_Data(), ckpt_path=path, weights_only=False)
        content = torch.load(path, weights_only=False)
        return {
            "width": loaded.hparams.width,
            "loaded": loaded.state_dict(),
            "losses": again.losses,
            "resumed": again.state_dict(),
            "keys": sorted(content),
            "epoch": content["epoch"],
        }


def accumulation_and_clipping():
    with _quietly() as folder:
        results = {}
        for algorithm in ("norm", "value"):
            model = fill(_Classifier())
            trainer = _trainer(
                folder, accumulate_grad_batches=2, gradient_clip_val=0.05, gradient_clip_algorithm=algorithm
            )
            trainer.fit(model, datamodule=_Data())
            results[algorithm] = model.state_dict()
        return results


def half_precision():
    with _quietly() as folder:
        model = fill(_Classifier())
        trainer = _trainer(folder, precision="bf16-mixed", max_epochs=1, limit_val_batches=0)
        trainer.fit(model, datamodule=_Data())
        double = fill(_Classifier())
        _trainer(folder, precision="64-true", max_epochs=1).fit(double, datamodule=_Data())
        # bfloat16 has 8 significant bits. Another order of summation changes the last bit.
        return {"mixed": [round(loss, 1) for loss in model.losses], "double": double.state_dict()}


class _Adversaries(L.LightningModule):
    def __init__(self):
        super().__init__()
        self.automatic_optimization = False
        self.generator, self.critic = nn.Linear(4, 8), nn.Linear(8, 1)

    def training_step(self, batch, batch_idx):
        real = batch[0]
        of_generator, of_critic = self.optimizers()
        fake = self.generator(real[:, :4])
        self.toggle_optimizer(of_generator)
        loss = nn.functional.softplus(-self.critic(fake)).mean()
        of_generator.zero_grad()
        self.manual_backward(loss)
        of_generator.step()
        self.untoggle_optimizer(of_generator)
        loss = nn.functional.softplus(self.critic(fake.detach())).mean()
        loss = loss + nn.functional.softplus(-self.critic(real)).mean()
        of_critic.zero_grad()
        self.manual_backward(loss)
        self.clip_gradients(of_critic, gradient_clip_val=0.5, gradient_clip_algorithm="norm")
        of_critic.step()
        for schedule in self.lr_schedulers():
            schedule.step()

    def configure_optimizers(self):
        optimizers = [torch.optim.Adam(part.parameters(), 0.01) for part in (self.generator, self.critic)]
        return optimizers, [torch.optim.lr_scheduler.StepLR(each, 2) for each in optimizers]


def manual_optimization():
    with _quietly() as folder:
        model = fill(_Adversaries())
        trainer = _trainer(folder, max_epochs=2)
        trainer.fit(model, DataLoader(TensorDataset(normal(32, 8)), batch_size=8))
        return model.state_dict()


class _Hooks(Callback):
    def __init__(self):
        self.called = []

    def on_train_start(self, trainer, module):
        self.called.append("start")

    def on_before_optimizer_step(self, trainer, module, optimizer):
        self.called.append(round(float(module.net[0].weight.grad.norm()), 3))

    def on_train_epoch_end(self, trainer, module):
        self.called.append(float(trainer.callback_metrics["train_loss_epoch"]))


def hooks_profiler_and_averages():
    with _quietly() as folder:
        model, hooks = fill(_Classifier()), _Hooks()
        averages = StochasticWeightAveraging(swa_lrs=0.01, swa_epoch_start=1)
        trainer = _trainer(folder, callbacks=[hooks, averages], profiler="simple", max_epochs=4)
        trainer.fit(model, datamodule=_Data())
        names = trainer.profiler.recorded_durations
        return {
            "called": hooks.called,
            "averages": model.state_dict(),
            "steps": len(names["run_training_batch"]),
        }


def several_loaders():
    with _quietly() as folder:
        seen = []

        class Both(_Classifier):
            def training_step(self, batch, batch_idx):
                x, y = batch["a"]
                seen.append(len(x) + len(batch["b"][0]))
                return nn.functional.cross_entropy(self(x), y) + self(batch["b"][0]).square().mean()

        model = fill(Both())
        loaders = {
            "a": DataLoader(TensorDataset(normal(30, 8), integers(3, 30)), batch_size=8),
            "b": DataLoader(TensorDataset(normal(12, 8)), batch_size=4),
        }
        trainer = _trainer(folder, max_epochs=2)
        trainer.fit(model, L.pytorch.utilities.CombinedLoader(loaders, mode="max_size_cycle"))
        return {"seen": seen, "parameters": model.state_dict()}


def fabric():
    with _quietly() as folder:
        fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
        fabric.launch()
        bare = fill(nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3)))
        model, optimizer = fabric.setup(bare, torch.optim.SGD(bare.parameters(), lr=0.1, momentum=0.9))
        loader = fabric.setup_dataloaders(DataLoader(TensorDataset(normal(32, 8), integers(3, 32)), batch_size=8))
        kinds = []
        for x, y in loader:
            loss = nn.functional.cross_entropy(model(x).float(), y)
            fabric.backward(loss)
            fabric.clip_gradients(model, optimizer, max_norm=1.0)
            optimizer.step()
            optimizer.zero_grad()
            kinds.append(str(model(x).dtype).removeprefix("torch.").removeprefix("flambeau."))
        path = str(Path(folder, "state"))
        fabric.save(path, {"model": model, "optimizer": optimizer, "step": 4})
        other = fabric.setup(nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 3)))
        rest = fabric.load(path, {"model": other})
        same = all(torch.equal(a, b) for a, b in zip(model.parameters(), other.parameters(), strict=True))
        return {"kinds": kinds, "same": same, "rest": sorted(rest), "step": rest["step"]}
