"""Denoising diffusion learns two moons: a noise schedule, a network of noise and time, ancestral sampling, EMA."""

import copy
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)
T = 40


def moons(n):
    angle = math.pi * torch.rand(n)
    upper = torch.stack([angle.cos(), angle.sin()], 1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], 1)
    points = torch.where((torch.rand(n) < 0.5).unsqueeze(1), upper, lower)
    return (points - torch.tensor([0.5, 0.25])) * 1.5 + 0.05 * torch.randn(n, 2)


def cosine_beta_schedule(timesteps, s=0.008):
    x = torch.linspace(0, timesteps, timesteps + 1, dtype=torch.float64)
    alphas_cumprod = torch.cos(((x / timesteps) + s) / (1 + s) * math.pi * 0.5) ** 2
    alphas_cumprod = alphas_cumprod / alphas_cumprod[0]
    betas = 1 - (alphas_cumprod[1:] / alphas_cumprod[:-1])
    return torch.clip(betas, 0.0001, 0.98).float()


class SinusoidalPositionEmbeddings(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, time):
        half_dim = self.dim // 2
        embeddings = torch.exp(torch.arange(half_dim, device=time.device) * -(math.log(10000) / (half_dim - 1)))
        embeddings = time[:, None] * embeddings[None, :]
        return torch.cat((embeddings.sin(), embeddings.cos()), dim=-1)


class Net(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.time_mlp = nn.Sequential(SinusoidalPositionEmbeddings(16), nn.Linear(16, width), nn.GELU())
        self.enter, self.middle, self.leave = nn.Linear(2, width), nn.Linear(width, width), nn.Linear(width, 2)

    def forward(self, x, t):
        h = F.silu(self.enter(x) + self.time_mlp(t))
        return self.leave(h + F.silu(self.middle(h)))


betas = cosine_beta_schedule(T)
alphas = 1.0 - betas
alphas_cumprod = torch.cumprod(alphas, axis=0)
alphas_cumprod_prev = F.pad(alphas_cumprod[:-1], (1, 0), value=1.0)
posterior_variance = betas * (1.0 - alphas_cumprod_prev) / (1.0 - alphas_cumprod)


def extract(a, t, x_shape):
    return a.gather(-1, t).reshape(t.shape[0], *((1,) * (len(x_shape) - 1)))


def q_sample(x_start, t, noise):
    return (
        extract(alphas_cumprod.sqrt(), t, x_start.shape) * x_start
        + extract((1.0 - alphas_cumprod).sqrt(), t, x_start.shape) * noise
    )


@torch.no_grad()
def sample(model, n):
    x = torch.randn(n, 2)
    for i in reversed(range(T)):
        t = torch.full((n,), i, dtype=torch.long)
        predicted = betas[i] * model(x, t) / torch.sqrt(1.0 - alphas_cumprod[i])
        x = torch.rsqrt(alphas[i]) * (x - predicted)
        if i > 0:
            x += torch.sqrt(posterior_variance[i]) * torch.randn_like(x)
    return x


model = Net()
ema = copy.deepcopy(model).eval().requires_grad_(False)
optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
scheduler = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=8e-3, total_steps=900)
for step in range(900):
    x = moons(256)
    t = torch.randint(0, T, (256,)).long()
    noise = torch.randn_like(x)
    loss = F.huber_loss(model(q_sample(x, t, noise), t), noise)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scheduler.step()
    with torch.no_grad():
        for averaged, current in zip(ema.parameters(), model.parameters()):
            averaged.lerp_(current, 0.02)
    if step % 300 == 299:
        print(f"step {step + 1}: loss {loss.item():.4f}")
made, real = sample(ema, 500), moons(2000)
distance = torch.cdist(made, real).min(dim=1).values
covered = torch.cdist(moons(200), made).min(dim=1).values
untrained = torch.cdist(torch.randn(500, 2), real).min(dim=1).values.mean().item()
print(f"to the moons {distance.mean():.3f} (noise: {untrained:.3f}), from the moons {covered.mean():.3f}")
assert distance.mean().item() < 0.6 * untrained and covered.mean().item() < 0.25
