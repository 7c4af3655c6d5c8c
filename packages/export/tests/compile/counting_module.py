"""A module that changes Python objects in each call, so that `flambeau.compile` compiles only its submodules."""

from flambeau import nn


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(*(nn.Sequential(nn.Linear(4, 4), nn.Tanh()) for _ in range(5)))

    def forward(self, x):
        return self.layers(x) + x


class Counting(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second, self.calls, self.outputs = Block(), Block(), 0, []

    def forward(self, x):
        self.calls += 1
        y = self.first(x)
        self.outputs.append(y)
        return self.second(y) * self.calls
