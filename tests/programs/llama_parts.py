"""Parts of language models: rotary embeddings, a key-value cache, experts, low-rank adapters, nucleus sampling."""

import math
from typing import Optional

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(0)


def precompute_freqs_cis(dim: int, end: int, theta: float = 10000.0):
    freqs = 1.0 / (theta ** (torch.arange(0, dim, 2)[: (dim // 2)].float() / dim))
    freqs = torch.outer(torch.arange(end, device=freqs.device, dtype=torch.float32), freqs)
    return torch.polar(torch.ones_like(freqs), freqs)


def apply_rotary_emb(xq: torch.Tensor, xk: torch.Tensor, freqs_cis: torch.Tensor):
    xq_ = torch.view_as_complex(xq.float().reshape(*xq.shape[:-1], -1, 2))
    xk_ = torch.view_as_complex(xk.float().reshape(*xk.shape[:-1], -1, 2))
    freqs_cis = freqs_cis.view(*[d if i in (1, xq_.ndim - 1) else 1 for i, d in enumerate(xq_.shape)])
    return (
        torch.view_as_real(xq_ * freqs_cis).flatten(3).type_as(xq),
        torch.view_as_real(xk_ * freqs_cis).flatten(3).type_as(xk),
    )


class RMSNorm(nn.Module):
    def __init__(self, dim: int, eps: float = 1e-6):
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(dim))

    def forward(self, x):
        return (x.float() * torch.rsqrt(x.float().pow(2).mean(-1, keepdim=True) + self.eps)).type_as(x) * self.weight


class Attention(nn.Module):
    def __init__(self, dim=16, n_heads=4, n_kv_heads=2, max_batch=2, max_len=16):
        super().__init__()
        self.n_heads, self.n_kv_heads, self.head_dim = n_heads, n_kv_heads, dim // n_heads
        self.wq = nn.Linear(dim, dim, bias=False)
        self.wk = nn.Linear(dim, n_kv_heads * self.head_dim, bias=False)
        self.wv = nn.Linear(dim, n_kv_heads * self.head_dim, bias=False)
        self.wo = nn.Linear(dim, dim, bias=False)
        self.cache_k = torch.zeros((max_batch, max_len, n_kv_heads, self.head_dim))
        self.cache_v = torch.zeros((max_batch, max_len, n_kv_heads, self.head_dim))

    def forward(self, x, start_pos: int, freqs_cis, mask: Optional[torch.Tensor]):
        bsz, seqlen, _ = x.shape
        xq = self.wq(x).view(bsz, seqlen, self.n_heads, self.head_dim)
        xk = self.wk(x).view(bsz, seqlen, self.n_kv_heads, self.head_dim)
        xv = self.wv(x).view(bsz, seqlen, self.n_kv_heads, self.head_dim)
        xq, xk = apply_rotary_emb(xq, xk, freqs_cis)
        self.cache_k = self.cache_k.to(xq)
        self.cache_v = self.cache_v.to(xq)
        self.cache_k[:bsz, start_pos : start_pos + seqlen] = xk
        self.cache_v[:bsz, start_pos : start_pos + seqlen] = xv
        repeats = self.n_heads // self.n_kv_heads
        keys = self.cache_k[:bsz, : start_pos + seqlen].repeat_interleave(repeats, dim=2)
        values = self.cache_v[:bsz, : start_pos + seqlen].repeat_interleave(repeats, dim=2)
        xq, keys, values = xq.transpose(1, 2), keys.transpose(1, 2), values.transpose(1, 2)
        scores = torch.matmul(xq, keys.transpose(2, 3)) / math.sqrt(self.head_dim)
        if mask is not None:
            scores = scores + mask
        scores = F.softmax(scores.float(), dim=-1).type_as(xq)
        return self.wo(torch.matmul(scores, values).transpose(1, 2).contiguous().view(bsz, seqlen, -1))


attention, norm, freqs_cis = Attention().eval(), RMSNorm(16), precompute_freqs_cis(4, 32)
x = norm(torch.randn(2, 5, 16))
with torch.inference_mode():
    mask = torch.triu(torch.full((5, 5), float("-inf")), diagonal=1)
    mask = torch.hstack([torch.zeros((5, 0)), mask]).type_as(x)
    at_once = attention(x, 0, freqs_cis[:5], mask)
    steps = [attention(x[:, i : i + 1], i, freqs_cis[i : i + 1], None) for i in range(5)]
assert torch.allclose(at_once, torch.cat(steps, dim=1), atol=1e-5)
q, k = torch.randn(1, 6, 1, 4), torch.randn(1, 6, 1, 4)
rotated_q, rotated_k = apply_rotary_emb(q, k, freqs_cis[:6])
further_q, further_k = apply_rotary_emb(q, k, freqs_cis[9:15])
same = torch.einsum("bihd,bjhd->ij", rotated_q, rotated_k), torch.einsum("bihd,bjhd->ij", further_q, further_k)
assert torch.allclose(*same, atol=1e-4), "rotary embeddings depend on relative positions"


class MoE(nn.Module):
    def __init__(self, dim=8, experts=4, k=2):
        super().__init__()
        self.gate = nn.Linear(dim, experts, bias=False)
        self.experts = nn.ModuleList(
            [nn.Sequential(nn.Linear(dim, 16), nn.SiLU(), nn.Linear(16, dim)) for _ in range(experts)]
        )
        self.k = k

    def forward(self, x):
        weights, selected = torch.topk(self.gate(x), self.k)
        weights = F.softmax(weights, dim=1, dtype=torch.float).to(x.dtype)
        results = torch.zeros_like(x)
        for i, expert in enumerate(self.experts):
            batch_idx, nth_expert = torch.where(selected == i)
            results[batch_idx] += weights[batch_idx, nth_expert, None] * expert(x[batch_idx])
        return results

    def by_one_hot(self, x):
        weights, selected = F.softmax(self.gate(x), dim=-1).topk(self.k, dim=-1)
        weights /= weights.sum(dim=-1, keepdim=True)
        results = torch.zeros_like(x)
        expert_mask = F.one_hot(selected, num_classes=len(self.experts)).permute(2, 1, 0)
        for i, expert in enumerate(self.experts):
            idx, top_x = torch.where(expert_mask[i])
            current = expert(x[None, top_x].reshape(-1, x.shape[-1])) * weights[top_x, idx, None]
            results.index_add_(0, top_x, current.to(x.dtype))
        return results


moe, x = MoE(), torch.randn(12, 8)
out = moe(x)
assert torch.allclose(out, moe.by_one_hot(x), atol=1e-5)
gradients = torch.autograd.grad(out.square().mean(), list(moe.parameters()), allow_unused=True)
others = torch.autograd.grad(moe.by_one_hot(x).square().mean(), list(moe.parameters()), allow_unused=True)
assert all(a is b is None or torch.allclose(a, b, atol=1e-5) for a, b in zip(gradients, others))


class LoRALinear(nn.Module):
    def __init__(self, linear: nn.Linear, r=2, alpha=4):
        super().__init__()
        self.linear, self.scaling = linear, alpha / r
        linear.requires_grad_(False)
        self.lora_A = nn.Parameter(torch.empty(r, linear.in_features))
        self.lora_B = nn.Parameter(torch.zeros(linear.out_features, r))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))

    def forward(self, x):
        return self.linear(x) + (x @ self.lora_A.T @ self.lora_B.T) * self.scaling

    def merge(self):
        self.linear.weight.data += self.lora_B @ self.lora_A * self.scaling
        return self.linear


net = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 2))
before = {key: value.clone() for key, value in net.state_dict().items()}
plain = net(x)
for name, child in list(net.named_children()):
    if isinstance(child, nn.Linear):
        setattr(net, name, LoRALinear(child))
assert torch.equal(net(x), plain)
trained = [p for p in net.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=0.05)
labels = (x[:, 0] > 0).long()
for step in range(60):
    loss = F.cross_entropy(net(x), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
share = sum(p.numel() for p in trained) / sum(p.numel() for p in net.parameters())
print(f"{100 * share:.0f} % of the parameters trained: loss {loss:.4f}")
assert loss < 0.2 and torch.equal(net[0].linear.weight, before["0.weight"])
adapted = net(x)
with torch.no_grad():
    merged = nn.Sequential(net[0].merge(), net[1], net[2].merge())
assert torch.allclose(merged(x), adapted, atol=1e-5)


def sample_top_p(probs, p):
    probs_sort, probs_idx = torch.sort(probs, dim=-1, descending=True)
    mask = torch.cumsum(probs_sort, dim=-1) - probs_sort > p
    probs_sort[mask] = 0.0
    probs_sort.div_(probs_sort.sum(dim=-1, keepdim=True))
    return torch.gather(probs_idx, -1, torch.multinomial(probs_sort, num_samples=1))


drawn = sample_top_p(torch.tensor([0.05, 0.6, 0.3, 0.05]).expand(500, 4).contiguous(), 0.7).squeeze(1)
assert set(drawn.tolist()) == {1, 2} and abs((drawn == 1).float().mean().item() - 2 / 3) < 0.1
