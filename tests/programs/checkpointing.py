"""Saving and loading: state dicts, whole checkpoints, resuming, several models, moved weights, and activations."""

import copy
import os

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

torch.manual_seed(0)


class TheModelClass(nn.Module):
    def __init__(self):
        super(TheModelClass, self).__init__()
        self.conv1 = nn.Conv2d(3, 6, 5)
        self.pool = nn.MaxPool2d(2, 2)
        self.fc1 = nn.Linear(6 * 4 * 4, 20)
        self.fc2 = nn.Linear(20, 4)

    def forward(self, x):
        x = self.pool(F.relu(self.conv1(x)))
        return self.fc2(F.relu(self.fc1(x.view(-1, 6 * 4 * 4))))


x, y = torch.randn(64, 3, 12, 12), torch.randint(0, 4, (64,))


def train(model, optimizer, scheduler, epochs):
    for _ in range(epochs):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        scheduler.step()
    return loss.item()


def make():
    model = TheModelClass()
    optimizer = optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    return model, optimizer, optim.lr_scheduler.StepLR(optimizer, 10, gamma=0.5)


model, optimizer, scheduler = make()
for param_tensor in model.state_dict():
    print(param_tensor, "\t", tuple(model.state_dict()[param_tensor].size()))
train(model, optimizer, scheduler, 15)
torch.save(
    {
        "epoch": 15,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler": scheduler.state_dict(),
        "rng": torch.get_rng_state(),
        "note": ("a tuple", None, 1.5, {"nested": [True]}),
    },
    "checkpoint.tar",
)
uninterrupted = train(model, optimizer, scheduler, 15)

resumed, optimizer2, scheduler2 = make()
saved = torch.load("checkpoint.tar", map_location=torch.device("cpu"), weights_only=True)
resumed.load_state_dict(saved["model_state_dict"])
optimizer2.load_state_dict(saved["optimizer_state_dict"])
scheduler2.load_state_dict(saved["scheduler"])
torch.set_rng_state(saved["rng"])
assert saved["note"] == ("a tuple", None, 1.5, {"nested": [True]}) and saved["epoch"] == 15
continued = train(resumed, optimizer2, scheduler2, 15)
print(f"uninterrupted {uninterrupted:.6f}, resumed {continued:.6f}, lr {scheduler2.get_last_lr()}")
assert uninterrupted == continued
assert all(torch.equal(a, b) for a, b in zip(model.state_dict().values(), resumed.state_dict().values()))

# Save and load the weights, a complete model, and weights for a model with other layers
torch.save(model.state_dict(), "weights.pt")
torch.save(model, "model.pt")
whole = torch.load("model.pt", weights_only=False)
assert isinstance(whole, TheModelClass) and torch.equal(whole.eval()(x), model.eval()(x))
try:
    torch.load("model.pt")
except Exception as error:
    print("As it should:", type(error).__name__, os.path.getsize("model.pt"))
else:
    raise AssertionError("a class was loaded with weights_only")


class Bigger(TheModelClass):
    def __init__(self):
        super().__init__()
        self.extra = nn.Linear(4, 2)


bigger = Bigger()
keys = bigger.load_state_dict(torch.load("weights.pt"), strict=False)
assert keys.missing_keys == ["extra.weight", "extra.bias"] and keys.unexpected_keys == []
try:
    bigger.load_state_dict(torch.load("weights.pt"))
except RuntimeError as error:
    assert "Missing key(s) in state_dict" in str(error)
else:
    raise AssertionError("missing keys passed")

# Tensors that share memory, and a subset that is cloned to save space
large = torch.arange(1000)
small = large[:5]
torch.save([large, small], "shared.pt")
a, b = torch.load("shared.pt")
a[0] = 7
assert b[0] == 7
torch.save(small.clone(), "small.pt")
assert os.path.getsize("small.pt") < os.path.getsize("shared.pt") and torch.load("small.pt").tolist() == [0, 1, 2, 3, 4]

# Activation checkpointing: recompute activations instead of storing them
deep = nn.Sequential(*(nn.Sequential(nn.Linear(16, 16), nn.Tanh(), nn.Dropout(0.2)) for _ in range(6)))
again = copy.deepcopy(deep)
inputs = torch.randn(8, 16, requires_grad=True)
torch.manual_seed(5)
deep(inputs).sum().backward()
expected = inputs.grad.clone()
inputs.grad = None
torch.manual_seed(5)
checkpoint_sequential(again, 3, inputs, use_reentrant=False).sum().backward()
assert torch.allclose(inputs.grad, expected)
assert all(torch.allclose(p.grad, q.grad) for p, q in zip(deep.parameters(), again.parameters()))
again.zero_grad()
checkpoint(again, inputs, use_reentrant=False).mean().backward()
assert all(p.grad is not None for p in again.parameters())
