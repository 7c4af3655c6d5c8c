"""Autoencoders: a convolutional one that denoises, a U-Net that segments, and one with a sparse code."""

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def shapes(count, size=16):
    """Return images with a filled rectangle, and the masks of the rectangles."""
    corner = torch.randint(1, size // 2, (count, 2))
    extent = torch.randint(4, size // 2, (count, 2))
    axis = torch.arange(size)
    inside = (axis >= corner[..., None]) & (axis < (corner + extent)[..., None])
    mask = (inside[:, 0, :, None] & inside[:, 1, None, :]).float().unsqueeze(1)
    brightness = 0.5 + 0.5 * torch.rand(count, 1, 1, 1)
    return mask * brightness, mask


class DenoisingAutoencoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, stride=2, padding=1), nn.ReLU()
        )
        self.decoder = nn.Sequential(
            nn.ConvTranspose2d(16, 8, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(),
            nn.ConvTranspose2d(8, 1, 3, stride=2, padding=1, output_padding=1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.decoder(self.encoder(x))


class DoubleConv(nn.Module):
    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.double_conv = nn.Sequential(
            nn.Conv2d(in_channels, out_channels, kernel_size=3, padding=1, bias=False),
            nn.BatchNorm2d(out_channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(out_channels, out_channels, kernel_size=3, padding="same"),
            nn.GroupNorm(4, out_channels),
            nn.SiLU(inplace=True),
        )

    def forward(self, x):
        return self.double_conv(x)


class UNet(nn.Module):
    def __init__(self, n_channels, n_classes, bilinear=False):
        super().__init__()
        self.inc = DoubleConv(n_channels, 8)
        self.down1 = nn.Sequential(nn.MaxPool2d(2), DoubleConv(8, 16))
        self.down2 = nn.Sequential(nn.AvgPool2d(2), DoubleConv(16, 16))
        if bilinear:
            self.up = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
        else:
            self.up = nn.ConvTranspose2d(16, 16, kernel_size=2, stride=2)
        self.conv1, self.conv2 = DoubleConv(32, 16), DoubleConv(24, 8)
        self.outc = nn.Conv2d(8, n_classes, kernel_size=1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(x1)
        x3 = self.up(self.down2(x2))
        diff_y, diff_x = x2.size()[2] - x3.size()[2], x2.size()[3] - x3.size()[3]
        x3 = F.pad(x3, [diff_x // 2, diff_x - diff_x // 2, diff_y // 2, diff_y - diff_y // 2])
        x = self.conv1(torch.cat([x2, x3], dim=1))
        x = F.interpolate(x, size=x1.shape[2:], mode="nearest")
        return self.outc(self.conv2(torch.cat([x1, x], dim=1)))


def dice_loss(pred, target, smooth=1.0):
    intersection = (pred * target).sum(dim=(2, 3))
    return (1 - (2.0 * intersection + smooth) / (pred.sum((2, 3)) + target.sum((2, 3)) + smooth)).mean()


# Denoising
model = DenoisingAutoencoder()
optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
for _ in range(250):
    clean, _ = shapes(32)
    loss = F.mse_loss(model((clean + 0.6 * torch.randn_like(clean)).clamp(0, 1)), clean)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
clean, _ = shapes(200)
noisy = (clean + 0.6 * torch.randn_like(clean)).clamp(0, 1)
with torch.no_grad():
    before, after = F.mse_loss(noisy, clean).item(), F.mse_loss(model(noisy), clean).item()
print(f"noise {before:.4f} -> {after:.4f}")
assert after < 0.75 * before

# Segmentation
for bilinear in (False, True):
    net = UNet(1, 1, bilinear)
    optimizer = torch.optim.RMSprop(net.parameters(), lr=2e-3, momentum=0.5)
    for _ in range(40):
        clean, mask = shapes(16)
        logits = net(clean + 0.4 * torch.randn_like(clean))
        loss = F.binary_cross_entropy_with_logits(logits, mask) + dice_loss(torch.sigmoid(logits), mask)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        optimizer.step()
    net.eval()
    clean, mask = shapes(100)
    with torch.no_grad():
        found = net(clean + 0.4 * torch.randn_like(clean)) > 0
    union = (found | mask.bool()).sum((1, 2, 3))
    iou = ((found & mask.bool()).sum((1, 2, 3)) / union).mean().item()
    print(f"U-Net, bilinear {bilinear}: intersection over union {iou:.3f}")
    assert iou > 0.7

# A sparse code of bars
pictures = torch.cat([torch.eye(8)[:, :, None].expand(8, 8, 8), torch.eye(8)[:, None, :].expand(8, 8, 8)]).reshape(
    16, 64
)
encoder = nn.Linear(64, 16)
decoder = nn.Linear(16, 64, bias=False)
optimizer = torch.optim.Adam([*encoder.parameters(), *decoder.parameters()], lr=0.02)
for _ in range(300):
    code = F.softplus(encoder(pictures))
    loss = F.mse_loss(decoder(code), pictures, reduction="sum") + 0.05 * code.abs().sum()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"sparse code: loss {loss.item():.3f}, share of small entries {(code < 0.1).float().mean().item():.2f}")
assert loss.item() < 8 and (code < 0.1).float().mean().item() > 0.5
