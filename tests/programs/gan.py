"""A generative adversarial network learns a normal distribution, and another one a ring."""

import torch
import torch.nn as nn
import torch.optim as optim

torch.manual_seed(3)


class Generator(nn.Module):
    def __init__(self, input_size, hidden_size, output_size, f):
        super().__init__()
        self.map1 = nn.Linear(input_size, hidden_size)
        self.map2 = nn.Linear(hidden_size, hidden_size)
        self.map3 = nn.Linear(hidden_size, output_size)
        self.f = f

    def forward(self, x):
        return self.map3(self.f(self.map2(self.f(self.map1(x)))))


class Discriminator(nn.Module):
    def __init__(self, input_size, hidden_size):
        super().__init__()
        self.model = nn.Sequential(
            nn.Linear(input_size, hidden_size),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(hidden_size, hidden_size),
            nn.LeakyReLU(0.2, inplace=True),
            nn.Linear(hidden_size, 1),
            nn.Sigmoid(),
        )

    def forward(self, x):
        return self.model(x)


def train(G, D, real, noise, steps, lr=2e-3):
    criterion = nn.BCELoss()
    d_optimizer = optim.Adam(D.parameters(), lr=lr, betas=(0.5, 0.999))
    g_optimizer = optim.Adam(G.parameters(), lr=lr, betas=(0.5, 0.999))
    for step in range(steps):
        D.zero_grad()
        d_real_decision = D(real())
        d_real_error = criterion(d_real_decision, torch.ones_like(d_real_decision))
        d_real_error.backward()
        d_fake_decision = D(G(noise()).detach())
        d_fake_error = criterion(d_fake_decision, torch.zeros_like(d_fake_decision))
        d_fake_error.backward()
        d_optimizer.step()

        G.zero_grad()
        dg_fake_decision = D(G(noise()))
        g_error = criterion(dg_fake_decision, torch.ones_like(dg_fake_decision))
        g_error.backward()
        g_optimizer.step()
        if step % (steps // 4) == 0:
            print(f"{step}: D ({d_real_error.item():.3f} real, {d_fake_error.item():.3f} fake) G {g_error.item():.3f}")


# A Wasserstein GAN learns a normal distribution: the critic has no sigmoid, and its weights are clipped
G = Generator(1, 16, 1, nn.functional.elu)
critic = Discriminator(1, 32).model[:-1]
c_optimizer = optim.RMSprop(critic.parameters(), lr=3e-3)
g_optimizer = optim.RMSprop(G.parameters(), lr=3e-3)
for step in range(1250):
    real, fake = torch.normal(4.0, 1.25, (128, 1)), G(torch.randn(128, 1))
    distance = critic(real).mean() - critic(fake.detach()).mean()
    c_optimizer.zero_grad()
    (-distance).backward()
    c_optimizer.step()
    for p in critic.parameters():
        p.data.clamp_(-0.2, 0.2)
    if step % 5 == 0:
        g_optimizer.zero_grad()
        (-critic(fake).mean()).backward()
        g_optimizer.step()
with torch.no_grad():
    made = G(torch.randn(5000, 1))
print(f"mean {made.mean():.2f} (4.00), standard deviation {made.std():.2f} (1.25)")
assert abs(made.mean().item() - 4) < 0.8 and abs(made.std().item() - 1.25) < 0.5

# Points on a circle
G, D = Generator(4, 32, 2, torch.relu), Discriminator(2, 32)


def ring():
    angle = 2 * torch.pi * torch.rand(128)
    return torch.stack([angle.cos(), angle.sin()], dim=1) + 0.02 * torch.randn(128, 2)


train(G, D, ring, lambda: torch.randn(128, 4), steps=700)
with torch.no_grad():
    radius = G(torch.randn(1000, 4)).norm(dim=1)
print(f"radius {radius.mean():.3f} +- {radius.std():.3f}")
assert abs(radius.mean().item() - 1) < 0.25 and radius.std().item() < 0.35
