"""Torch-pruning: removal of channels together with all parameters that depend on them."""

import torch
import torch_pruning as tp
from torchvision.models import resnet18

from tools.ecosystem.cases import fill, normal


class _Joined(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.first = torch.nn.Conv2d(3, 8, 3, padding=1)
        self.norm = torch.nn.BatchNorm2d(8)
        self.second = torch.nn.Conv2d(8, 8, 3, padding=1)
        self.head = torch.nn.Linear(16, 4)

    def forward(self, x):
        x = torch.relu(self.norm(self.first(x)))
        x = torch.cat([x, self.second(x)], dim=1)
        return self.head(torch.nn.functional.adaptive_avg_pool2d(x, 1).flatten(1))


def groups():
    model = fill(_Joined()).eval()
    example = normal(1, 3, 8, 8)
    graph = tp.DependencyGraph().build_dependency(model, example_inputs=example)
    group = graph.get_pruning_group(model.first, tp.prune_conv_out_channels, idxs=[2, 6])
    valid = graph.check_pruning_group(group)
    group.prune()
    shapes = {name: list(p.shape) for name, p in model.named_parameters()}
    return {"valid": valid, "shapes": shapes, "output": model(example)}


def pruned():
    model = fill(resnet18(num_classes=4)).eval()
    example = normal(1, 3, 32, 32)
    before = tp.utils.count_ops_and_params(model, example)
    importance = tp.importance.MagnitudeImportance(p=2)
    pruner = tp.pruner.MagnitudePruner(
        model, example, importance=importance, pruning_ratio=0.5, ignored_layers=[model.fc]
    )
    pruner.step()
    after = tp.utils.count_ops_and_params(model, example)
    return {
        "before": list(before),
        "after": list(after),
        "output": model(example),
        "shapes": [list(p.shape) for p in model.parameters()],
    }
