"""Ema-pytorch: moving averages of models."""

import torch
from ema_pytorch import EMA, PostHocEMA

from tools.ecosystem.cases import fill, normal


def averages():
    model = fill(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.BatchNorm1d(8), torch.nn.Linear(8, 1)))
    average = EMA(model, beta=0.99, update_after_step=2, update_every=1, power=0.7)
    for step in range(8):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(normal(*parameter.shape, seed=step), alpha=0.1)
        average.update()
    average.eval()
    return {
        "output": average(normal(3, 4)),
        "state": average.state_dict(),
        "decay": float(average.get_current_decay()),
        "copied": [average.copy_params_from_ema_to_model(), model.state_dict()][1],
    }


def synthesized():
    import tempfile

    model = fill(torch.nn.Linear(4, 3))
    with tempfile.TemporaryDirectory() as folder:
        average = PostHocEMA(
            model, sigma_rels=(0.05, 0.3), update_every=1, checkpoint_every_num_steps=4, checkpoint_folder=folder
        )
        for step in range(12):
            with torch.no_grad():
                model.weight.add_(normal(3, 4, seed=step), alpha=0.1)
            average.update()
        made = average.synthesize_ema_model(sigma_rel=0.15)
        return {"output": made(normal(2, 4))}
