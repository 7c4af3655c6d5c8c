"""Tensors: creation, indexing, arithmetic, broadcasting, NumPy and devices."""

import math

import numpy as np
import torch

print(f"torch {torch.__version__}, CUDA: {torch.cuda.is_available()}")
device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")

torch.manual_seed(0)
data = [[1, 2], [3, 4]]
from_list = torch.tensor(data)
from_array = torch.from_numpy(np.array(data))
assert from_list.dtype == torch.int64 and torch.equal(from_list, from_array)

ones = torch.ones_like(from_list)
noise = torch.rand_like(from_list, dtype=torch.float)
print(f"Ones:\n{ones}\nNoise:\n{noise}")
assert noise.shape == torch.Size([2, 2]) and noise.is_floating_point()

tensor = torch.rand(3, 4, device=device)
print(f"Shape: {tensor.shape}, dtype: {tensor.dtype}, device: {tensor.device}, strides: {tensor.stride()}")
tensor[:, 1] = 0
tensor[..., -1].fill_(5)
assert tensor[:, 1].sum().item() == 0 and (tensor[..., -1] == 5).all()

joined = torch.cat([tensor, tensor, tensor], dim=1)
assert joined.size() == (3, 12) and joined.size(1) == 12
product = tensor @ tensor.T
other = torch.empty_like(product)
torch.matmul(tensor, tensor.T, out=other)
assert torch.allclose(product, tensor.matmul(tensor.t())) and torch.allclose(product, other)

# Broadcasting and reshaping
table = torch.arange(1, 11).unsqueeze(1) * torch.arange(1, 11)
assert table[6, 7].item() == 56 and table.view(2, 5, -1).permute(2, 0, 1).contiguous().shape == (10, 2, 5)
mean, std = torch.randn(10000, 3).mul_(2).add_(1).mean(0), torch.randn(10000).std()
assert torch.all((mean - 1).abs() < 0.1) and abs(std.item() - 1) < 0.05

# Memory shared with NumPy
t = torch.ones(5)
n = t.numpy()
t.add_(1)
np.add(n, 1, out=n)
assert t.tolist() == [3.0] * 5 and isinstance(n, np.ndarray)

# Sorting and selection
x = torch.tensor([3.0, 1.0, 2.0, float("nan")])
values, order = x[:3].sort(descending=True)
top = torch.topk(x[:3], k=2)
assert order.tolist() == [0, 2, 1] and top.values.tolist() == [3.0, 2.0] and torch.isnan(x).sum() == 1
assert torch.where(x > 1.5, x, torch.zeros(())).nansum() == 5
mask = table.eq(12)
assert mask.nonzero(as_tuple=False).shape == (4, 2) and table[mask].tolist() == [12] * 4
picked = table.float().gather(1, torch.tensor([[9]] * 10)).squeeze(-1)
assert picked.tolist() == [10.0 * i for i in range(1, 11)]

# Simpson's rule
grid = torch.linspace(0, math.pi, 101, dtype=torch.float64)
weights = torch.ones(101, dtype=torch.float64)
weights[1:-1:2], weights[2:-1:2] = 4, 2
area = (weights * torch.sin(grid)).sum() * (grid[1] - grid[0]) / 3
print(f"The area under half a period of a sine: {area:.8f}")
assert abs(area.item() - 2) < 1e-6 and torch.einsum("i,i->", weights, weights).item() == weights.dot(weights).item()
