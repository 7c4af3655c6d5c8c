"""Logistic and softmax regression on clouds of points, with regularisation and a confusion matrix."""

import torch
from torch import nn

torch.manual_seed(0)


def accuracy(scores, targets):
    return (scores.argmax(dim=1) == targets).float().mean().item()


# Two classes
size = 200
points = torch.cat([torch.randn(size, 2) + 2, torch.randn(size, 2) - 2])
target = torch.cat([torch.ones(size), torch.zeros(size)])


class LogisticRegression(nn.Module):
    def __init__(self, n_features):
        super().__init__()
        self.linear = nn.Linear(n_features, 1)

    def forward(self, x):
        return torch.sigmoid(self.linear(x))


model = LogisticRegression(2)
criterion = nn.BCELoss()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-3, nesterov=True)
for epoch in range(60):
    optimizer.zero_grad(set_to_none=True)
    y_predicted = model(points).squeeze()
    loss = criterion(y_predicted, target)
    loss.backward()
    optimizer.step()
    if (epoch + 1) % 20 == 0:
        print(f"epoch: {epoch + 1}, loss = {loss.item():.4f}")
with torch.no_grad():
    binary = model(points).squeeze().round().eq(target).sum() / float(target.shape[0])
print(f"accuracy: {binary.item():.4f}")
assert binary > 0.98

# Four classes
centres = torch.tensor([[3.0, 0.0], [0.0, 3.0], [-3.0, 0.0], [0.0, -3.0]])
classes = torch.randint(0, 4, (600,))
points = centres[classes] + torch.randn(600, 2)
softmax = nn.Linear(2, 4)
nn.init.xavier_uniform_(softmax.weight)
nn.init.zeros_(softmax.bias)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.Adam(softmax.parameters(), lr=0.1)
for _ in range(100):
    loss = criterion(softmax(points), classes)
    loss = loss + 1e-4 * sum(p.pow(2.0).sum() for p in softmax.parameters())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

confusion = torch.zeros(4, 4, dtype=torch.long)
for truth, guess in zip(classes.view(-1), softmax(points).argmax(1).view(-1)):
    confusion[truth.long(), guess.long()] += 1
print(confusion, f"{(confusion.diag() / confusion.sum(1)).tolist()}")
probabilities = torch.softmax(softmax(points), dim=1)
assert torch.allclose(probabilities.sum(1), torch.ones(600)) and confusion.trace().item() / 600 > 0.93
assert abs(accuracy(probabilities, classes) - confusion.trace().item() / 600) < 1e-6
