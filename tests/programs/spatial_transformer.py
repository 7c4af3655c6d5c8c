"""A spatial transformer network straightens rotated images before it classifies them."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(0)
SIZE = 16


def pictures(count):
    """Return images of four figures, rotated by up to 60 degrees and shifted."""
    base = torch.zeros(4, 1, SIZE, SIZE)
    base[0, 0, 3:13, 7:9] = 1
    base[1, 0, 3:13, 4:6] = base[1, 0, 11:13, 4:12] = 1
    base[2, 0, 3:5, 3:13] = base[2, 0, 3:13, 7:9] = 1
    base[3, 0, 4:12, 4:12] = 1
    labels = torch.randint(0, 4, (count,))
    angle = (torch.rand(count) * 2 - 1) * math.pi / 3
    theta = torch.stack([angle.cos(), -angle.sin(), angle.sin(), angle.cos()], 1).view(-1, 2, 2)
    theta = torch.cat([theta, (torch.rand(count, 2, 1) - 0.5) * 0.4], dim=2)
    grid = F.affine_grid(theta, (count, 1, SIZE, SIZE), align_corners=False)
    return F.grid_sample(base[labels], grid, align_corners=False), labels


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, kernel_size=3)
        self.conv2 = nn.Conv2d(8, 12, kernel_size=3)
        self.conv2_drop = nn.Dropout2d(p=0.1)
        self.fc1 = nn.Linear(48, 32)
        self.fc2 = nn.Linear(32, 4)
        self.localization = nn.Sequential(
            nn.Conv2d(1, 6, kernel_size=5),
            nn.MaxPool2d(2, stride=2),
            nn.ReLU(True),
            nn.Conv2d(6, 8, kernel_size=3),
            nn.MaxPool2d(2, stride=2),
            nn.ReLU(True),
        )
        self.fc_loc = nn.Sequential(nn.Linear(8 * 2 * 2, 16), nn.ReLU(True), nn.Linear(16, 3 * 2))
        self.fc_loc[2].weight.data.zero_()
        self.fc_loc[2].bias.data.copy_(torch.tensor([1, 0, 0, 0, 1, 0], dtype=torch.float))

    def stn(self, x):
        xs = self.localization(x)
        xs = xs.view(-1, 8 * 2 * 2)
        theta = self.fc_loc(xs).view(-1, 2, 3)
        grid = F.affine_grid(theta, x.size(), align_corners=False)
        return F.grid_sample(x, grid, align_corners=False)

    def forward(self, x):
        x = self.stn(x)
        x = F.relu(F.max_pool2d(self.conv1(x), 2))
        x = F.relu(F.max_pool2d(self.conv2_drop(self.conv2(x)), 2))
        x = x.view(-1, 48)
        x = F.relu(self.fc1(x))
        x = F.dropout(x, p=0.1, training=self.training)
        return F.log_softmax(self.fc2(x), dim=1)


model = Net()
optimizer = optim.Adam(model.parameters(), lr=4e-3)
model.train()
for step in range(200):
    data, target = pictures(48)
    optimizer.zero_grad()
    loss = F.nll_loss(model(data), target)
    loss.backward()
    optimizer.step()
    if step % 50 == 49:
        print(f"step {step + 1}: loss {loss.item():.4f}")
model.eval()
with torch.no_grad():
    data, target = pictures(400)
    accuracy = model(data).max(1, keepdim=True)[1].eq(target.view(-1, 1)).float().mean().item()
    moved = (model.stn(data) - data).abs().mean().item()
print(f"accuracy {accuracy:.3f}, pictures changed by {moved:.3f} a pixel")
assert accuracy > 0.85 and moved > 0.01
