"""Loralib: layers with low-rank updates."""

import loralib as lora
import torch

from tools.ecosystem.cases import fill, integers, normal


def layers():
    model = torch.nn.Sequential(
        lora.Embedding(10, 6, r=2),
        lora.Linear(6, 8, r=4, lora_alpha=2),
        torch.nn.ReLU(),
        lora.MergedLinear(8, 12, r=2, enable_lora=[True, False, True]),
    )
    fill(model.requires_grad_(True))
    lora.mark_only_lora_as_trainable(model, bias="lora_only")
    tokens = integers(10, 3, 5)
    output = model(tokens)
    output.square().mean().backward()
    gradients = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
    trained = sorted(lora.lora_state_dict(model, bias="all"))
    model.eval()
    return {
        "output": output,
        "gradients": gradients,
        "names": trained,
        "merged": model(tokens),
        "weight": model[1].weight,
    }


def convolution():
    layer = lora.Conv2d(3, 4, kernel_size=3, r=2)
    fill(layer.requires_grad_(True))
    output = layer(normal(1, 3, 6, 6))
    layer.eval()
    return {"output": output, "merged": layer(normal(1, 3, 6, 6))}
