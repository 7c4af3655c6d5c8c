"""Hinton's forward-forward algorithm: each layer learns by itself, without backpropagation between them."""

import torch
import torch.nn as nn
from torch.optim import Adam

torch.manual_seed(1234)
CLASSES, FEATURES = 4, 20
CENTRES = torch.randn(CLASSES, FEATURES)


def get_y_neg(y):
    """Return random wrong labels."""
    return (y + torch.randint(1, CLASSES, y.shape)) % CLASSES


def overlay_y_on_x(x, y):
    """Write the label as one-hot into the first pixels."""
    x_ = x.clone()
    x_[:, :CLASSES] *= 0.0
    x_[range(x.shape[0]), y] = x.max()
    return x_


def data(n):
    y = torch.randint(0, CLASSES, (n,))
    return torch.cat([torch.zeros(n, CLASSES), CENTRES[y] + 0.7 * torch.randn(n, FEATURES)], dim=1), y


class Layer(nn.Linear):
    def __init__(self, in_features, out_features, bias=True, device=None, dtype=None):
        super().__init__(in_features, out_features, bias, device, dtype)
        self.relu = torch.nn.ReLU()
        self.opt = Adam(self.parameters(), lr=0.02)
        self.threshold = 1.5
        self.num_epochs = 150

    def forward(self, x):
        x_direction = x / (x.norm(2, 1, keepdim=True) + 1e-4)
        return self.relu(torch.mm(x_direction, self.weight.T) + self.bias.unsqueeze(0))

    def train(self, x_pos, x_neg):
        for _ in range(self.num_epochs):
            g_pos = self.forward(x_pos).pow(2).mean(1)
            g_neg = self.forward(x_neg).pow(2).mean(1)
            loss = torch.log(1 + torch.exp(torch.cat([-g_pos + self.threshold, g_neg - self.threshold]))).mean()
            self.opt.zero_grad()
            loss.backward()
            self.opt.step()
        print(f"loss of the layer: {loss.item():.4f}")
        return self.forward(x_pos).detach(), self.forward(x_neg).detach()


class Net(torch.nn.Module):
    def __init__(self, dims):
        super().__init__()
        self.layers = [Layer(dims[d], dims[d + 1]) for d in range(len(dims) - 1)]

    def predict(self, x):
        goodness_per_label = []
        for label in range(CLASSES):
            h = overlay_y_on_x(x, label)
            goodness = []
            for layer in self.layers:
                h = layer(h)
                goodness += [h.pow(2).mean(1)]
            goodness_per_label += [sum(goodness).unsqueeze(1)]
        return torch.cat(goodness_per_label, 1).argmax(1)

    def train(self, x_pos, x_neg):
        h_pos, h_neg = x_pos, x_neg
        for i, layer in enumerate(self.layers):
            print("training layer", i, "...")
            h_pos, h_neg = layer.train(h_pos, h_neg)


net = Net([CLASSES + FEATURES, 96, 96])
x, y = data(500)
net.train(overlay_y_on_x(x, y), overlay_y_on_x(x, get_y_neg(y)))
error = 1.0 - net.predict(x).eq(y).float().mean().item()
x, y = data(500)
test_error = 1.0 - net.predict(x).eq(y).float().mean().item()
print(f"train error: {error:.3f}, test error: {test_error:.3f}")
assert error < 0.15 and test_error < 0.25
