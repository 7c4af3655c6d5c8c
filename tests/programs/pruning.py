"""Pruning: masks, unstructured, structured, iterative, global and custom pruning, and training of pruned models."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune

torch.manual_seed(0)


class LeNet(nn.Module):
    def __init__(self):
        super(LeNet, self).__init__()
        self.conv1 = nn.Conv2d(1, 6, 5)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.fc1 = nn.Linear(16 * 5 * 5, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), (2, 2))
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = x.view(-1, int(x.nelement() / x.shape[0]))
        x = F.relu(self.fc1(x))
        x = F.relu(self.fc2(x))
        return self.fc3(x)


def sparsity(module):
    return 100.0 * float(torch.sum(module.weight == 0)) / float(module.weight.nelement())


model = LeNet().to(device=torch.device("cpu"))
module = model.conv1
prune.random_unstructured(module, name="weight", amount=0.3)
assert [name for name, _ in module.named_parameters()] == ["bias", "weight_orig"]
assert [name for name, _ in module.named_buffers()] == ["weight_mask"]
assert torch.equal(module.weight, module.weight_orig * module.weight_mask)
prune.l1_unstructured(module, name="bias", amount=3)
assert (module.bias_mask == 0).sum() == 3
smallest = module.bias_orig.abs().topk(3, largest=False).indices
assert (module.bias_mask[smallest] == 0).all()

# Structured pruning of a tensor that is already pruned
prune.ln_structured(module, name="weight", amount=0.5, n=2, dim=0)
assert (module.weight.flatten(1).abs().sum(1) == 0).sum() == 3
assert any(isinstance(hook, prune.PruningContainer) for hook in module._forward_pre_hooks.values())
state = model.state_dict()
assert "conv1.weight_orig" in state and "conv1.weight_mask" in state
prune.remove(module, "weight")
assert "weight" in dict(module.named_parameters()) and not hasattr(module, "weight_mask")

# Global pruning of the model
model = LeNet()
parameters_to_prune = tuple((m, "weight") for m in (model.conv1, model.conv2, model.fc1, model.fc2, model.fc3))
prune.global_unstructured(parameters_to_prune, pruning_method=prune.L1Unstructured, amount=0.2)
for m, _ in parameters_to_prune:
    print(f"Sparsity in {m}: {sparsity(m):.2f}%")
total = sum(m.weight.nelement() for m, _ in parameters_to_prune)
zeros = sum(int((m.weight == 0).sum()) for m, _ in parameters_to_prune)
assert abs(zeros / total - 0.2) < 1e-4


class FooBarPruningMethod(prune.BasePruningMethod):
    """Prune every other entry in a tensor."""

    PRUNING_TYPE = "unstructured"

    def compute_mask(self, t, default_mask):
        mask = default_mask.clone()
        mask.view(-1)[::2] = 0
        return mask


def foobar_unstructured(module, name):
    FooBarPruningMethod.apply(module, name)
    return module


model = LeNet()
foobar_unstructured(model.fc3, name="bias")
assert model.fc3.bias_mask.tolist() == [0.0, 1.0] * 5 and prune.is_pruned(model)

# Pruned elements stay zero while the rest is trained
net = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 1))
x = torch.randn(256, 8)
y = x[:, :1] * 2 - x[:, 1:2]
prune.l1_unstructured(net[0], "weight", amount=0.8)
optimizer = torch.optim.Adam(net.parameters(), lr=1e-2)
for _ in range(200):
    optimizer.zero_grad()
    loss = F.mse_loss(net(x), y)
    loss.backward()
    optimizer.step()
print(f"loss with {sparsity(net[0]):.0f} % of the weights pruned: {loss.item():.4f}")
assert loss.item() < 0.05 and abs(sparsity(net[0]) - 80) < 1
prune.remove(net[0], "weight")
assert abs(sparsity(net[0]) - 80) < 1
