"""Denoising-diffusion-pytorch: diffusion models of images and series."""

import torch
from denoising_diffusion_pytorch import GaussianDiffusion, GaussianDiffusion1D, Unet, Unet1D

from tools.ecosystem.cases import fill, uniform


def _losses(diffusion, *shape):
    torch.manual_seed(0)
    optimizer, losses = torch.optim.Adam(fill(diffusion).parameters(), lr=1e-3), []
    for step in range(3):
        loss = diffusion(uniform(*shape, seed=step))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.detach())
    return losses


def _images(flash=False, **options):
    return GaussianDiffusion(Unet(dim=16, dim_mults=(1, 2), flash_attn=flash), image_size=16, **options)


def training():
    kinds = {
        "velocity": _images(timesteps=20),
        "noise": _images(flash=True, timesteps=20, objective="pred_noise", beta_schedule="cosine"),
        "offset": _images(timesteps=20, min_snr_loss_weight=True, offset_noise_strength=0.1),
    }
    return {name: _losses(diffusion, 2, 3, 16, 16) for name, diffusion in kinds.items()}


def sampling():
    ddpm = fill(_images(timesteps=5)).eval()
    ddim = fill(_images(timesteps=20, sampling_timesteps=4)).eval()
    torch.manual_seed(0)
    mixed = ddpm.interpolate(uniform(2, 3, 16, 16), uniform(2, 3, 16, 16, seed=1), t=3)
    return {"ddpm": ddpm.sample(batch_size=2), "ddim": ddim.sample(batch_size=2), "mixed": mixed}


def series():
    diffusion = GaussianDiffusion1D(Unet1D(dim=16, dim_mults=(1, 2), channels=4), seq_length=16, timesteps=10)
    return {"losses": _losses(diffusion, 2, 4, 16), "sample": diffusion.sample(batch_size=1)}
