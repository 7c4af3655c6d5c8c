"""Efficient sub-pixel convolution doubles the resolution of images of waves, better than bicubic interpolation."""

from math import log10

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.nn.init as init

torch.manual_seed(123)


class Net(nn.Module):
    def __init__(self, upscale_factor):
        super(Net, self).__init__()
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(1, 16, (5, 5), (1, 1), (2, 2), padding_mode="replicate")
        self.conv2 = nn.Conv2d(16, 16, (3, 3), (1, 1), (1, 1))
        self.conv3 = nn.Conv2d(16, upscale_factor**2, (3, 3), (1, 1), (1, 1))
        self.pixel_shuffle = nn.PixelShuffle(upscale_factor)
        self._initialize_weights()

    def forward(self, x):
        x = self.relu(self.conv1(x))
        x = self.relu(self.conv2(x))
        return self.pixel_shuffle(self.conv3(x))

    def _initialize_weights(self):
        init.orthogonal_(self.conv1.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv2.weight, init.calculate_gain("relu"))
        init.orthogonal_(self.conv3.weight)


def waves(count, size=24):
    grid = torch.linspace(0, 1, size)
    y, x = torch.meshgrid(grid, grid, indexing="ij")
    frequency = 20 * torch.rand(count, 2, 1, 1) + 8
    phase = 6.28 * torch.rand(count, 1, 1)
    return torch.sigmoid(3 * torch.sin(frequency[:, 0] * x + frequency[:, 1] * y + phase)).unsqueeze(1)


def psnr(a, b):
    return 10 * log10(1 / F.mse_loss(a, b).item())


fine = waves(200)
coarse = F.interpolate(fine, scale_factor=0.5, mode="area")
model = Net(upscale_factor=2)
criterion = nn.MSELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for epoch in range(12):
    epoch_loss = 0
    for input, target in zip(coarse.split(16), fine.split(16)):
        optimizer.zero_grad()
        loss = criterion(model(input), target)
        epoch_loss += loss.item()
        loss.backward()
        optimizer.step()
    print(f"===> Epoch {epoch + 1} Complete: Avg. Loss: {epoch_loss / 13:.4f}")

test = waves(30)
small = F.interpolate(test, scale_factor=0.5, mode="area")
with torch.no_grad():
    ours, bicubic = psnr(model(small), test), psnr(F.interpolate(small, scale_factor=2, mode="bicubic"), test)
print(f"PSNR {ours:.2f} dB, bicubic {bicubic:.2f} dB")
assert ours > bicubic and model(small).shape == test.shape
assert torch.equal(F.pixel_unshuffle(F.pixel_shuffle(coarse[:1].expand(1, 4, -1, -1), 2), 2)[:, 0], coarse[0])
