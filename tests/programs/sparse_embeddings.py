"""Embeddings with sparse gradients: skip-grams with negative samples, and a recommender, by SparseAdam and Adagrad."""

import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(3)


class SkipGramModel(nn.Module):
    def __init__(self, emb_size, emb_dimension):
        super(SkipGramModel, self).__init__()
        self.emb_size = emb_size
        self.emb_dimension = emb_dimension
        self.u_embeddings = nn.Embedding(emb_size, emb_dimension, sparse=True)
        self.v_embeddings = nn.Embedding(emb_size, emb_dimension, sparse=True)
        initrange = 1.0 / self.emb_dimension
        nn.init.uniform_(self.u_embeddings.weight.data, -initrange, initrange)
        nn.init.constant_(self.v_embeddings.weight.data, 0)

    def forward(self, pos_u, pos_v, neg_v):
        emb_u = self.u_embeddings(pos_u)
        emb_v = self.v_embeddings(pos_v)
        emb_neg_v = self.v_embeddings(neg_v)
        score = torch.sum(torch.mul(emb_u, emb_v), dim=1)
        score = torch.clamp(score, max=10, min=-10)
        score = -F.logsigmoid(score)
        neg_score = torch.bmm(emb_neg_v, emb_u.unsqueeze(2)).squeeze()
        neg_score = torch.clamp(neg_score, max=10, min=-10)
        neg_score = -torch.sum(F.logsigmoid(-neg_score), dim=1)
        return torch.mean(score + neg_score)


# Words of ten topics. Words of the same topic occur near each other.
words, topics = 2000, 10
model = SkipGramModel(words, 16)
optimizer = optim.SparseAdam(list(model.parameters()), lr=0.05)
for step in range(150):
    centre = torch.randint(0, words // 10, (256,))
    near = (centre + topics * torch.randint(0, 20, (256,))) % (words // 10)
    away = torch.randint(0, words // 10, (256, 5))
    optimizer.zero_grad()
    loss = model(centre, near, away)
    loss.backward()
    assert model.u_embeddings.weight.grad.is_sparse
    assert model.v_embeddings.weight.grad._nnz() <= 256 * 6
    optimizer.step()
table = F.normalize(model.u_embeddings.weight.data[: words // 10], dim=1)
similar = table @ table.t()
same = torch.arange(words // 10)[:, None] % topics == torch.arange(words // 10) % topics
print(f"skip-grams: loss {loss.item():.3f}, alike {similar[same].mean():.2f}, apart {similar[~same].mean():.2f}")
assert similar[same].mean() > similar[~same].mean() + 0.5
untouched = model.u_embeddings.weight.data[words // 10 :].abs().max().item()
assert untouched <= 1 / 16


class Recommender(nn.Module):
    """Model of ratings: dot product of the mean embedding of a user's liked items and the embedding of an item."""

    def __init__(self, items, width):
        super().__init__()
        self.liked = nn.EmbeddingBag(items, width, mode="mean", sparse=True)
        self.item = nn.Embedding(items, width, sparse=True)
        self.bias = nn.Parameter(torch.zeros(1))

    def forward(self, history, offsets, item):
        return (self.liked(history, offsets) * self.item(item)).sum(1) + self.bias


items = 500
model = Recommender(items, 8)
sparse = [model.liked.weight, model.item.weight]
optimizers = [optim.Adagrad(sparse, lr=0.3), optim.SGD([model.bias], lr=0.01)]
losses = []
for step in range(400):
    lengths = torch.randint(1, 6, (128,))
    offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)[:-1]])
    kind = torch.randint(0, 5, (128,))
    history = torch.randint(0, items // 5, (int(lengths.sum()),)) * 5 + kind.repeat_interleave(lengths)
    item = torch.randint(0, items, (128,))
    rating = (item % 5 == kind).float()
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss = F.binary_cross_entropy_with_logits(model(history, offsets, item), rating)
    loss.backward()
    nn.utils.clip_grad_value_([model.bias], 1.0)
    for optimizer in optimizers:
        optimizer.step()
    losses.append(loss.item())
print(f"recommender: loss {sum(losses[:10]) / 10:.3f} to {sum(losses[-10:]) / 10:.3f}")
assert sum(losses[-10:]) < 0.6 * sum(losses[:10])

# Gradients of several passes are added. An optimizer that does not support sparse gradients raises an error.
table = nn.Embedding(10, 3, sparse=True)
for _ in range(2):
    table(torch.tensor([1, 1, 4])).sum().backward()
gradient = table.weight.grad.coalesce()
assert gradient.indices().tolist() == [[1, 4]] and gradient.values()[:, 0].tolist() == [4, 2]
try:
    optim.Adam(table.parameters()).step()
except RuntimeError as error:
    print(error)
else:
    raise AssertionError("Adam took a sparse gradient")
