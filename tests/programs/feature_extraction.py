"""Extraction of intermediate features by layer name, and counts of the operations of a network."""

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision.models import resnet18
from torchvision.models.feature_extraction import create_feature_extractor, get_graph_node_names

torch.manual_seed(0)
model = resnet18(num_classes=10).eval()
train_names, eval_names = get_graph_node_names(model)
assert train_names == eval_names
assert eval_names[:5] == ["x", "conv1", "bn1", "relu", "maxpool"]
assert eval_names[-4:] == ["layer4.1.relu_1", "avgpool", "flatten", "fc"]

extractor = create_feature_extractor(model, return_nodes={"layer2": "middle", "layer4.1.relu_1": "end", "fc": "scores"})
images = torch.randn(2, 3, 64, 64)
with torch.no_grad():
    features = extractor(images)
    assert {name: tuple(feature.shape) for name, feature in features.items()} == {
        "middle": (2, 128, 8, 8),
        "end": (2, 512, 2, 2),
        "scores": (2, 10),
    }
    torch.testing.assert_close(features["scores"], model(images))


class Pyramid(nn.Module):
    """Network that adds features of two resolutions in one map."""

    def __init__(self):
        super().__init__()
        self.body = create_feature_extractor(resnet18(), ["layer3", "layer4"])
        self.fine = nn.Conv2d(256, 16, 1)
        self.coarse = nn.Conv2d(512, 16, 1)

    def forward(self, x):
        features = self.body(x)
        coarse = nn.functional.interpolate(self.coarse(features["layer4"]), scale_factor=2)
        return self.fine(features["layer3"]) + coarse


pyramid = Pyramid()
assert not any(name.startswith("body.fc") for name, _ in pyramid.named_parameters())
optimizer = torch.optim.SGD(pyramid.parameters(), lr=0.01)
losses = []
for _ in range(4):
    loss = (pyramid(images) - 1).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
assert losses[-1] < losses[0], losses

with FlopCounterMode(display=False) as counter:
    model(images[:1]).sum().backward()
counts = counter.get_flop_counts()["ResNet"]
forward = {str(name): count for name, count in counts.items()}
assert forward["aten.convolution"] == 296091648
assert forward["aten.convolution_backward"] == 572915712
assert counter.get_total_flops() == sum(forward.values())
