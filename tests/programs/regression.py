"""Linear and polynomial regression, with nn.Linear and by hand, against the exact solution."""

from itertools import count

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1)

# Linear regression on noisy points, mini-batches
true_w, true_b = torch.tensor([2.0, -3.4]), 4.2
features = torch.normal(0, 1, (1000, 2))
labels = features @ true_w + true_b + torch.normal(0, 0.01, (1000,))
net = nn.Sequential(nn.Linear(2, 1))
net[0].weight.data.normal_(0, 0.01)
net[0].bias.data.fill_(0)
loss = nn.MSELoss()
trainer = torch.optim.SGD(net.parameters(), lr=0.03)
loader = torch.utils.data.DataLoader(
    torch.utils.data.TensorDataset(features, labels.reshape(-1, 1)), batch_size=10, shuffle=True
)
for epoch in range(3):
    for X, y in loader:
        error = loss(net(X), y)
        trainer.zero_grad()
        error.backward()
        trainer.step()
    print(f"epoch {epoch + 1}, loss {loss(net(features), labels.reshape((-1, 1))):f}")
exact = torch.linalg.lstsq(torch.cat([features, torch.ones(1000, 1)], 1), labels[:, None]).solution.flatten()
found = torch.cat([net[0].weight.data.reshape(true_w.shape), net[0].bias.data])
assert torch.allclose(found, exact, atol=5e-3) and abs(found[2] - true_b) < 1e-2

# A polynomial of the fourth degree: train on new batches until the error is small
POLY_DEGREE = 4
W_target = torch.randn(POLY_DEGREE, 1) * 5
b_target = torch.randn(1) * 5


def make_features(x):
    """Return a matrix with the columns x, x^2, x^3, x^4."""
    x = x.unsqueeze(1)
    return torch.cat([x**i for i in range(1, POLY_DEGREE + 1)], 1)


def get_batch(batch_size=32):
    x = make_features(torch.rand(batch_size) * 2 - 1)
    return x, x.mm(W_target) + b_target.item()


def poly_desc(W, b):
    result = "y = "
    for i, w in enumerate(W):
        result += f"{w:+.2f} x^{i + 1} "
    return result + f"{b[0]:+.2f}"


fc = nn.Linear(W_target.size(0), 1)
optimizer = torch.optim.Adam(fc.parameters(), lr=0.1)
for batch_idx in count(1):
    batch_x, batch_y = get_batch()
    fc.zero_grad()
    output = F.smooth_l1_loss(fc(batch_x), batch_y)
    loss_value = output.item()
    output.backward()
    optimizer.step()
    if loss_value < 1e-5:
        break
    assert batch_idx < 5000
print(f"Loss: {loss_value:.6f} after {batch_idx} batches")
print("==> Learned function:\t" + poly_desc(fc.weight.view(-1), fc.bias))
print("==> Actual function:\t" + poly_desc(W_target.view(-1), b_target))
assert (fc.weight.view(-1) - W_target.view(-1)).abs().max() < 0.2 and abs(fc.bias.item() - b_target.item()) < 0.05
