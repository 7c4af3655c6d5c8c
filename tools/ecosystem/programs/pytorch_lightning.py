"""Lightning under its older name, which is a separate distribution."""

import tempfile
import warnings

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import EarlyStopping, ModelCheckpoint
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from tools.ecosystem.cases import fill, normal


class _Autoencoder(pl.LightningModule):
    def __init__(self, size=6):
        super().__init__()
        self.save_hyperparameters()
        self.encoder = nn.Sequential(nn.Linear(size, 8), nn.Tanh(), nn.Linear(8, 2))
        self.decoder = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, size))
        self.example_input_array = torch.zeros(2, size)

    def forward(self, x):
        return self.decoder(self.encoder(x))

    def training_step(self, batch, batch_idx):
        loss = nn.functional.mse_loss(self(batch[0]), batch[0])
        self.log("loss", loss)
        return {"loss": loss}

    def validation_step(self, batch, batch_idx):
        self.log("val_loss", nn.functional.mse_loss(self(batch[0]), batch[0]))

    def configure_optimizers(self):
        optimizer = torch.optim.SGD(self.parameters(), lr=0.1, momentum=0.9, nesterov=True)
        schedule = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, patience=0, threshold=0.05)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "monitor": "val_loss"}}


def _fitted(folder, **options):
    train, validation = (DataLoader(TensorDataset(normal(32, 6, seed=seed)), batch_size=8) for seed in (0, 1))
    model = fill(_Autoencoder())
    trainer = pl.Trainer(
        accelerator="cpu",
        default_root_dir=folder,
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        log_every_n_steps=1,
        **{"enable_checkpointing": False, "max_epochs": 4, **options},
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(model, train, validation)
    return model, trainer


def training():
    with tempfile.TemporaryDirectory() as folder:
        model, trainer = _fitted(folder, gradient_clip_val=1.0)
        losses = {name: float(value) for name, value in trainer.callback_metrics.items()}
        return {"parameters": model.state_dict(), "losses": losses, "rate": trainer.optimizers[0].param_groups[0]["lr"]}


def the_best_checkpoint():
    with tempfile.TemporaryDirectory() as folder:
        best = ModelCheckpoint(folder, monitor="val_loss")
        stop = EarlyStopping("val_loss", patience=1)
        _, trainer = _fitted(folder, max_epochs=6, enable_checkpointing=True, callbacks=[best, stop])
        loaded = _Autoencoder.load_from_checkpoint(best.best_model_path)
        return {"best": loaded.state_dict(), "epochs": trainer.current_epoch, "score": float(best.best_model_score)}


def summary():
    table = pl.utilities.model_summary.ModelSummary(fill(_Autoencoder()), max_depth=2)
    return {
        "names": table.layer_names,
        "types": table.layer_types,
        "sizes": [str(size) for size in table.out_sizes],
        "parameters": table.total_parameters,
    }


def seeds():
    pl.seed_everything(3)
    first = torch.rand(4)
    pl.seed_everything(3)
    return {"same": torch.equal(first, torch.rand(4))}
