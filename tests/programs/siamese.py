"""A siamese network predicts if two drawings show the same shape. An embedding learns their distances."""

import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

random.seed(0)
torch.manual_seed(0)
PATTERNS = (torch.rand(6, 1, 8, 8) > 0.5).float()


def drawing(shape):
    return (PATTERNS[shape] + 0.25 * torch.randn(1, 8, 8)).roll(random.choice((-1, 0, 1)), dims=-1)


class Pairs(Dataset):
    def __init__(self, count):
        self.count = count

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        first = random.randrange(6)
        if index % 2 == 0:
            return drawing(first), drawing(first), torch.tensor(1.0)
        return drawing(first), drawing(random.choice([s for s in range(6) if s != first])), torch.tensor(0.0)


class SiameseNetwork(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 16, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(2),
            nn.Flatten(),
        )
        self.fc = nn.Sequential(nn.Linear(128, 32), nn.ReLU(inplace=True), nn.Linear(32, 1))
        self.sigmoid = nn.Sigmoid()
        self.features.apply(self.init_weights)

    def init_weights(self, m):
        if isinstance(m, (nn.Linear, nn.Conv2d)):
            torch.nn.init.xavier_uniform_(m.weight)
            m.bias.data.fill_(0.01)

    def forward(self, input1, input2):
        output1, output2 = self.features(input1), self.features(input2)
        return self.sigmoid(self.fc(torch.cat(((output1 - output2).abs(), output1 * output2), 1)))


model = SiameseNetwork()
criterion = nn.BCELoss()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
for epoch in range(8):
    model.train()
    for one, two, target in DataLoader(Pairs(320), batch_size=32, shuffle=True):
        optimizer.zero_grad()
        loss = criterion(model(one, two).squeeze(), target)
        loss.backward()
        optimizer.step()
    model.eval()
    with torch.no_grad():
        one, two, target = next(iter(DataLoader(Pairs(300), batch_size=300)))
        correct = torch.where(model(one, two).squeeze() > 0.5, 1, 0).eq(target).float().mean().item()
    print(f"epoch {epoch + 1}: loss {loss.item():.4f}, accuracy {correct:.3f}")
assert correct > 0.85

# Distances
embed = nn.Sequential(nn.Flatten(), nn.Linear(64, 32), nn.PReLU(), nn.Linear(32, 8))
optimizer = torch.optim.SGD(embed.parameters(), lr=0.05, momentum=0.9)
triplet = nn.TripletMarginLoss(margin=1.0, p=2)
contrastive = nn.CosineEmbeddingLoss(margin=0.2)
for _ in range(60):
    shapes = [random.sample(range(6), 2) for _ in range(32)]
    anchor, positive, negative = (torch.stack([drawing(s[k]) for s in shapes]) for k in (0, 0, 1))
    a, p, n = embed(anchor), embed(positive), embed(negative)
    loss = triplet(a, p, n) + contrastive(a, n, -torch.ones(32))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
near, far = F.pairwise_distance(a, p).mean().item(), F.pairwise_distance(a, n).mean().item()
print(f"distance to the same {near:.3f}, to another {far:.3f}")
assert far > 1.5 * near and torch.cdist(a, a).diagonal().max() < 1e-2
