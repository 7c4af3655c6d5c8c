"""Accelerate: training loops for any device, and models larger than the memory of a device."""

import tempfile

import torch
from accelerate import (
    Accelerator,
    dispatch_model,
    infer_auto_device_map,
    init_empty_weights,
    load_checkpoint_and_dispatch,
)
from accelerate.state import AcceleratorState
from accelerate.utils import compute_module_sizes, find_tied_parameters, send_to_device, set_module_tensor_to_device
from safetensors.torch import save_file

from tools.ecosystem.cases import fill, normal


def _network():
    return torch.nn.Sequential(torch.nn.Linear(6, 16), torch.nn.GELU(), torch.nn.LayerNorm(16), torch.nn.Linear(16, 3))


def _loader():
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(normal(24, 6), normal(24, 3, seed=1)), 4)


def _training(**options):
    AcceleratorState._reset_state(reset_partial_state=True)  # otherwise all Accelerators share the first one's settings
    accelerator = Accelerator(cpu=True, **options)
    model = fill(_network())
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, eps=1e-4)  # small gradients are mostly rounding errors
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, 3, 0.5)
    return accelerator, *accelerator.prepare(model, optimizer, _loader(), schedule)


def _epoch(accelerator, model, optimizer, loader, schedule):
    losses = []
    for inputs, targets in loader:
        with accelerator.accumulate(model):
            loss = torch.nn.functional.mse_loss(model(inputs), targets)
            accelerator.backward(loss)
            if accelerator.sync_gradients:
                accelerator.clip_grad_norm_(model.parameters(), 0.5)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
        losses.append(accelerator.gather_for_metrics(loss.detach()).mean())
    return losses


def training():
    parts = _training(gradient_accumulation_steps=2)
    losses = _epoch(*parts)
    model = parts[0].unwrap_model(parts[1])
    return {"losses": losses, "state": model.state_dict(), "rate": parts[4].get_last_lr()}


def halves():
    exact = _epoch(*_training())
    parts = _training(mixed_precision="bf16")
    with parts[0].autocast():
        dtype = torch.nn.functional.linear(normal(4, 6), normal(2, 6)).dtype
    # 8-bit rounding differs between the frameworks, but the losses of both are close to the exact losses.
    near = [abs(float(loss - other)) < 0.05 * float(other) for loss, other in zip(_epoch(*parts), exact, strict=True)]
    return {"dtype": str(dtype).split(".")[-1], "near": near}


def resuming():
    parts = _training()
    _epoch(*parts)
    with tempfile.TemporaryDirectory() as folder:
        parts[0].save_state(folder)
        first = _epoch(*parts)
        parts[0].load_state(folder)
        second = _epoch(*parts)
    return {"first": first, "second": second}


def empty_models():
    with init_empty_weights():
        model = _network()
    with tempfile.TemporaryDirectory() as folder:
        save_file(fill(_network()).state_dict(), f"{folder}/model.safetensors")
        devices = str(next(model.parameters()).device)
        loaded = load_checkpoint_and_dispatch(model, f"{folder}/model.safetensors", device_map={"": "cpu"})
    return {"devices": devices, "output": loaded(normal(2, 6)), "sizes": dict(compute_module_sizes(loaded))}


def offloading():
    model = fill(_network())
    with tempfile.TemporaryDirectory() as folder:
        places = {"0": "cpu", "1": "cpu", "2": "cpu", "3": "disk"}
        spread = dispatch_model(model, places, main_device="cpu", offload_dir=folder)
        return {"output": spread(normal(2, 6)), "kept": str(spread[3].weight.device)}


def inspections():
    model = fill(_network())
    set_module_tensor_to_device(model, "0.bias", "cpu", value=torch.ones(16))
    tied = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    tied[1].weight = tied[0].weight
    return {
        "places": {name: str(place) for name, place in infer_auto_device_map(model, {"cpu": 10**6}).items()},
        "tied": find_tied_parameters(tied),
        "sent": send_to_device({"a": [normal(2), (normal(3), 4)]}, "cpu"),
        "output": model(normal(2, 6)),
    }
