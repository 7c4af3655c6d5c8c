"""The Transformer of "Attention is all you need" from scratch, which learns to sort; checked against nn's attention."""

import copy
import math

import torch
import torch.nn as nn
from torch.nn.functional import log_softmax, pad


def clones(module, N):
    return nn.ModuleList([copy.deepcopy(module) for _ in range(N)])


class LayerNorm(nn.Module):
    def __init__(self, features, eps=1e-6):
        super().__init__()
        self.a_2 = nn.Parameter(torch.ones(features))
        self.b_2 = nn.Parameter(torch.zeros(features))
        self.eps = eps

    def forward(self, x):
        mean = x.mean(-1, keepdim=True)
        std = x.std(-1, keepdim=True)
        return self.a_2 * (x - mean) / (std + self.eps) + self.b_2


class SublayerConnection(nn.Module):
    def __init__(self, size, dropout):
        super().__init__()
        self.norm, self.dropout = LayerNorm(size), nn.Dropout(dropout)

    def forward(self, x, sublayer):
        return x + self.dropout(sublayer(self.norm(x)))


def attention(query, key, value, mask=None, dropout=None):
    d_k = query.size(-1)
    scores = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(d_k)
    if mask is not None:
        scores = scores.masked_fill(mask == 0, -1e9)
    p_attn = scores.softmax(dim=-1)
    if dropout is not None:
        p_attn = dropout(p_attn)
    return torch.matmul(p_attn, value), p_attn


class MultiHeadedAttention(nn.Module):
    def __init__(self, h, d_model, dropout=0.1):
        super().__init__()
        assert d_model % h == 0
        self.d_k, self.h = d_model // h, h
        self.linears = clones(nn.Linear(d_model, d_model), 4)
        self.attn = None
        self.dropout = nn.Dropout(p=dropout)

    def forward(self, query, key, value, mask=None):
        if mask is not None:
            mask = mask.unsqueeze(1)
        nbatches = query.size(0)
        query, key, value = (
            lin(x).view(nbatches, -1, self.h, self.d_k).transpose(1, 2)
            for lin, x in zip(self.linears, (query, key, value))
        )
        x, self.attn = attention(query, key, value, mask=mask, dropout=self.dropout)
        x = x.transpose(1, 2).contiguous().view(nbatches, -1, self.h * self.d_k)
        return self.linears[-1](x)


class EncoderLayer(nn.Module):
    def __init__(self, size, self_attn, feed_forward, dropout):
        super().__init__()
        self.self_attn, self.feed_forward = self_attn, feed_forward
        self.sublayer = clones(SublayerConnection(size, dropout), 2)

    def forward(self, x, mask):
        x = self.sublayer[0](x, lambda x: self.self_attn(x, x, x, mask))
        return self.sublayer[1](x, self.feed_forward)


class DecoderLayer(nn.Module):
    def __init__(self, size, self_attn, src_attn, feed_forward, dropout):
        super().__init__()
        self.self_attn, self.src_attn, self.feed_forward = self_attn, src_attn, feed_forward
        self.sublayer = clones(SublayerConnection(size, dropout), 3)

    def forward(self, x, m, src_mask, tgt_mask):
        x = self.sublayer[0](x, lambda x: self.self_attn(x, x, x, tgt_mask))
        x = self.sublayer[1](x, lambda x: self.src_attn(x, m, m, src_mask))
        return self.sublayer[2](x, self.feed_forward)


class Embeddings(nn.Module):
    def __init__(self, d_model, vocab, dropout, max_len=50):
        super().__init__()
        self.lut, self.d_model, self.dropout = nn.Embedding(vocab, d_model), d_model, nn.Dropout(dropout)
        position = torch.arange(0, max_len).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2) * -(math.log(10000.0) / d_model))
        pe = torch.zeros(max_len, d_model)
        pe[:, 0::2], pe[:, 1::2] = torch.sin(position * div_term), torch.cos(position * div_term)
        self.register_buffer("pe", pe.unsqueeze(0), persistent=False)

    def forward(self, x):
        x = self.lut(x) * math.sqrt(self.d_model)
        return self.dropout(x + self.pe[:, : x.size(1)].requires_grad_(False))


class EncoderDecoder(nn.Module):
    def __init__(self, vocab, N=1, d_model=32, d_ff=64, h=4, dropout=0.0):
        super().__init__()
        c = copy.deepcopy
        attn = MultiHeadedAttention(h, d_model, dropout)
        ff = nn.Sequential(nn.Linear(d_model, d_ff), nn.ReLU(), nn.Dropout(dropout), nn.Linear(d_ff, d_model))
        self.encoder = clones(EncoderLayer(d_model, c(attn), c(ff), dropout), N)
        self.decoder = clones(DecoderLayer(d_model, c(attn), c(attn), c(ff), dropout), N)
        self.norms = clones(LayerNorm(d_model), 2)
        self.src_embed = Embeddings(d_model, vocab, dropout)
        self.tgt_embed = Embeddings(d_model, vocab, dropout)
        self.proj = nn.Linear(d_model, vocab)
        for p in self.parameters():
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)

    def encode(self, src, src_mask):
        x = self.src_embed(src)
        for layer in self.encoder:
            x = layer(x, src_mask)
        return self.norms[0](x)

    def decode(self, memory, src_mask, tgt, tgt_mask):
        x = self.tgt_embed(tgt)
        for layer in self.decoder:
            x = layer(x, memory, src_mask, tgt_mask)
        return log_softmax(self.proj(self.norms[1](x)), dim=-1)

    def forward(self, src, tgt, src_mask, tgt_mask):
        return self.decode(self.encode(src, src_mask), src_mask, tgt, tgt_mask)


def subsequent_mask(size):
    return torch.triu(torch.ones(1, size, size), diagonal=1).type(torch.uint8) == 0


class LabelSmoothing(nn.Module):
    def __init__(self, size, padding_idx, smoothing=0.0):
        super().__init__()
        self.criterion = nn.KLDivLoss(reduction="sum")
        self.padding_idx, self.smoothing, self.size = padding_idx, smoothing, size

    def forward(self, x, target):
        true_dist = x.data.clone()
        true_dist.fill_(self.smoothing / (self.size - 2))
        true_dist.scatter_(1, target.data.unsqueeze(1), 1.0 - self.smoothing)
        true_dist[:, self.padding_idx] = 0
        mask = torch.nonzero(target.data == self.padding_idx)
        if mask.dim() > 0:
            true_dist.index_fill_(0, mask.squeeze(), 0.0)
        return self.criterion(x, true_dist.clone().detach())


torch.manual_seed(0)
V, LENGTH, PAD, START = 11, 6, 0, 1
model = EncoderDecoder(V)
criterion = LabelSmoothing(size=V, padding_idx=PAD, smoothing=0.05)
optimizer = torch.optim.Adam(model.parameters(), lr=0.5, betas=(0.9, 0.98), eps=1e-9)
WARMUP = 40
rate = lambda step: 32**-0.5 * min(max(step, 1) ** -0.5, max(step, 1) * WARMUP**-1.5)
lr_scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer=optimizer, lr_lambda=rate)


def batch(n):
    src = torch.randint(2, V, (n, LENGTH))
    return src, pad(src.sort(dim=1).values, (1, 0), value=START)


for step in range(260):
    src, tgt = batch(48)
    out = model(src, tgt[:, :-1], (src != PAD).unsqueeze(-2), subsequent_mask(LENGTH))
    loss = criterion(out.contiguous().view(-1, V), tgt[:, 1:].contiguous().view(-1)) / tgt[:, 1:].numel()
    loss.backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    lr_scheduler.step()
    if step % 65 == 64:
        print(f"Step: {step + 1:4d} | Loss: {loss.item():6.3f} | Learning rate: {optimizer.param_groups[0]['lr']:.4f}")

# Greedy decoding
model.eval()
src, tgt = batch(200)
src_mask = (src != PAD).unsqueeze(-2)
memory = model.encode(src, src_mask)
ys = torch.full((200, 1), START).type_as(src.data)
for _ in range(LENGTH):
    prob = model.decode(memory, src_mask, ys, subsequent_mask(ys.size(1)).type_as(src.data))
    ys = torch.cat([ys, prob[:, -1].max(dim=1, keepdim=True)[1]], dim=1)
right = (ys == tgt).all(1).float().mean().item()
print(src[0].tolist(), "->", ys[0, 1:].tolist(), f"{100 * right:.1f} % sorted")
assert right > 0.75

# The same attention as PyTorch's own layer
own, x = model.encoder[0].self_attn, torch.randn(2, 5, 32)
builtin = nn.MultiheadAttention(32, 4, batch_first=True)
with torch.no_grad():
    builtin.in_proj_weight.copy_(torch.cat([lin.weight for lin in own.linears[:3]]))
    builtin.in_proj_bias.copy_(torch.cat([lin.bias for lin in own.linears[:3]]))
    builtin.out_proj.load_state_dict(own.linears[3].state_dict())
    mask = subsequent_mask(5)
    expected, weights = builtin(x, x, x, attn_mask=~mask[0], average_attn_weights=False)
    assert torch.allclose(own(x, x, x, mask), expected, atol=1e-5) and torch.allclose(own.attn, weights, atol=1e-5)
