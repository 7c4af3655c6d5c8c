"""Diffusers: networks and schedules of diffusion, a training step and sampling."""

import tempfile

import diffusers
import torch

from tools.ecosystem.cases import fill, gradients, integers, normal

diffusers.logging.set_verbosity_error()


def _unet():
    return diffusers.UNet2DModel(
        sample_size=16,
        in_channels=3,
        out_channels=3,
        layers_per_block=1,
        norm_num_groups=8,
        block_out_channels=(16, 32),
        attention_head_dim=8,
        down_block_types=("DownBlock2D", "AttnDownBlock2D"),
        up_block_types=("AttnUpBlock2D", "UpBlock2D"),
    )


def _backward(output, model):
    output.square().mean().backward()
    # A bias of keys adds the same number to all scores of a query, so its gradient is zero up to rounding.
    found = {name: grad for name, grad in gradients(model).items() if not name.endswith("to_k.bias")}
    return {"output": output, **found}


def unet():
    model = fill(_unet())
    return _backward(model(normal(2, 3, 16, 16), torch.tensor([10, 500])).sample, model)


def unet_with_texts():
    model = fill(
        diffusers.UNet2DConditionModel(
            sample_size=8,
            in_channels=4,
            out_channels=4,
            layers_per_block=1,
            norm_num_groups=8,
            block_out_channels=(16, 32),
            cross_attention_dim=24,
            attention_head_dim=8,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        )
    )
    return _backward(model(normal(2, 4, 8, 8), 7, encoder_hidden_states=normal(2, 5, 24)).sample, model)


def autoencoder():
    model = fill(
        diffusers.AutoencoderKL(
            block_out_channels=(16, 32),
            latent_channels=4,
            norm_num_groups=8,
            sample_size=16,
            down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
            up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        )
    )
    latents = model.encode(normal(2, 3, 16, 16)).latent_dist
    return {"kl": latents.kl(), **_backward(model.decode(latents.mode()).sample, model)}


def transformer():
    model = fill(
        diffusers.DiTTransformer2DModel(
            num_attention_heads=2,
            attention_head_dim=8,
            in_channels=4,
            num_layers=2,
            sample_size=8,
            patch_size=2,
            num_embeds_ada_norm=10,
            norm_num_groups=4,
        )
    ).eval()
    output = model(normal(2, 4, 8, 8), timestep=torch.tensor([1, 9]), class_labels=integers(10, 2)).sample
    return _backward(output, model)


def training():
    model, schedule = fill(_unet()), diffusers.DDPMScheduler(num_train_timesteps=100)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, eps=1e-3)  # small gradients are mostly rounding errors
    average = diffusers.training_utils.EMAModel(model.parameters(), decay=0.9)
    rates = diffusers.optimization.get_cosine_schedule_with_warmup(optimizer, 2, 10)
    losses = []
    for step in range(3):
        images, noise = normal(2, 3, 16, 16, seed=step), normal(2, 3, 16, 16, seed=step + 10)
        times = integers(100, 2, seed=step)
        found = model(schedule.add_noise(images, noise, times), times).sample
        loss = torch.nn.functional.mse_loss(found, noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        rates.step()
        optimizer.zero_grad()
        average.step(model.parameters())
        losses.append(loss.detach())
    return {"losses": losses, "averages": average.shadow_params}


# Schedulers that draw noise in their steps are omitted, because the random numbers of the two libraries differ.
SCHEDULES = (
    *("DDIMScheduler", "EulerDiscreteScheduler", "HeunDiscreteScheduler", "LMSDiscreteScheduler", "PNDMScheduler"),
    *("DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "DEISMultistepScheduler", "KDPM2DiscreteScheduler"),
    *("DPMSolverSinglestepScheduler", "FlowMatchEulerDiscreteScheduler"),
)


def sampling():
    model = fill(_unet()).eval()
    return {name: _sampled(model, getattr(diffusers, name)(num_train_timesteps=100)) for name in SCHEDULES}


@torch.no_grad()
def _sampled(model, schedule):
    schedule.set_timesteps(4)
    sample = normal(1, 3, 16, 16) * getattr(schedule, "init_noise_sigma", 1.0)
    for time in schedule.timesteps:
        scaled = schedule.scale_model_input(sample, time) if hasattr(schedule, "scale_model_input") else sample
        sample = schedule.step(model(scaled, time).sample, time, sample).prev_sample
    return sample


def saving():
    model = fill(_unet())
    with tempfile.TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        loaded = diffusers.UNet2DModel.from_pretrained(folder)
        pipeline = diffusers.DDIMPipeline(unet=loaded, scheduler=diffusers.DDIMScheduler(num_train_timesteps=50))
        pipeline.save_pretrained(f"{folder}/pipeline")
        again = diffusers.DDIMPipeline.from_pretrained(f"{folder}/pipeline")
    again.set_progress_bar_config(disable=True)
    inputs = normal(1, 3, 16, 16)
    return {
        "loaded": loaded(inputs, 3).sample,
        "again": again.unet(inputs, 3).sample,
        "steps": again.scheduler.alphas_cumprod,
    }
