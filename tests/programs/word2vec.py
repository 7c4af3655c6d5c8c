"""Word vectors: an n-gram model, continuous bags of words, and skip-grams with negative samples."""

import random

import torch
import torch.autograd as autograd
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim

torch.manual_seed(1)
random.seed(1)
SONNET = """When forty winters shall besiege thy brow, And dig deep trenches in thy beauty's field,
Thy youth's proud livery so gazed on now, Will be a totter'd weed of small worth held""".split()
vocab = sorted(set(SONNET))
word_to_ix = {word: i for i, word in enumerate(vocab)}


class NGramLanguageModeler(nn.Module):
    def __init__(self, vocab_size, embedding_dim, context_size):
        super(NGramLanguageModeler, self).__init__()
        self.embeddings = nn.Embedding(vocab_size, embedding_dim)
        self.linear1 = nn.Linear(context_size * embedding_dim, 64)
        self.linear2 = nn.Linear(64, vocab_size)

    def forward(self, inputs):
        embeds = self.embeddings(inputs).view((1, -1))
        out = F.relu(self.linear1(embeds))
        return F.log_softmax(self.linear2(out), dim=1)


class CBOW(nn.Module):
    def __init__(self, vocab_size, embedding_dim):
        super().__init__()
        self.embeddings = nn.EmbeddingBag(vocab_size, embedding_dim, mode="sum")
        self.linear = nn.Linear(embedding_dim, vocab_size)

    def forward(self, inputs, offsets):
        return F.log_softmax(self.linear(self.embeddings(inputs, offsets)), dim=1)


ngrams = [([SONNET[i - j - 1] for j in range(2)], SONNET[i]) for i in range(2, len(SONNET))]
model, loss_function = NGramLanguageModeler(len(vocab), 10, 2), nn.NLLLoss()
optimizer = optim.SGD(model.parameters(), lr=0.1)
losses = []
for _epoch in range(40):
    total_loss = 0
    for context, target in ngrams:
        context_idxs = torch.tensor([word_to_ix[w] for w in context], dtype=torch.long)
        model.zero_grad()
        log_probs = model(context_idxs)
        loss = loss_function(log_probs, torch.tensor([word_to_ix[target]], dtype=torch.long))
        loss.backward()
        optimizer.step()
        total_loss += loss.item()
    losses.append(total_loss)
print(f"n-grams: {losses[0]:.1f} -> {losses[-1]:.1f}")
assert losses[-1] < 0.1 * losses[0]

pairs = [
    ([SONNET[i + j] for j in (-2, -1, 1, 2)][: random.randint(2, 4)], SONNET[i]) for i in range(2, len(SONNET) - 2)
]
flat = torch.tensor([word_to_ix[w] for context, _ in pairs for w in context])
offsets = torch.tensor([0] + [len(context) for context, _ in pairs[:-1]]).cumsum(0)
targets = autograd.Variable(torch.LongTensor([word_to_ix[target] for _, target in pairs]))
cbow = CBOW(len(vocab), 16)
optimizer = optim.Adam(cbow.parameters(), lr=0.05)
for _ in range(60):
    optimizer.zero_grad()
    loss = loss_function(cbow(flat, offsets), targets)
    loss.backward()
    optimizer.step()
print(f"bags of words: {loss.item():.4f}")
assert loss.item() < 0.1

# Skip-grams: words of the same topic occur together
TOPICS = [["cat", "dog", "bird", "horse"], ["red", "green", "blue", "black"], ["one", "two", "three", "four"]]
words = [word for topic in TOPICS for word in topic]
index = {word: i for i, word in enumerate(words)}
sentences = [random.choices(random.choice(TOPICS), k=6) for _ in range(200)]
centre, around = [], []
for sentence in sentences:
    for i, word in enumerate(sentence):
        for j in range(max(0, i - 2), min(6, i + 3)):
            if i != j:
                centre.append(index[word])
                around.append(index[sentence[j]])
centre, around = torch.tensor(centre), torch.tensor(around)
frequency = torch.bincount(centre, minlength=12).float().pow(0.75)
enter, leave = nn.Embedding(12, 8, sparse=False), nn.Embedding(12, 8)
optimizer = optim.Adagrad([*enter.parameters(), *leave.parameters()], lr=0.5)
for _ in range(40):
    batch = torch.randint(len(centre), (256,))
    negative = torch.multinomial(frequency, 256 * 5, replacement=True).view(256, 5)
    v = enter(centre[batch])
    positive = F.logsigmoid((v * leave(around[batch])).sum(1))
    others = F.logsigmoid(-torch.bmm(leave(negative), v.unsqueeze(2)).squeeze(2)).sum(1)
    loss = -(positive + others).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
vectors = enter.weight.detach()
similarity = F.cosine_similarity(vectors.unsqueeze(1), vectors.unsqueeze(0), dim=-1)
same = torch.block_diag(*[torch.ones(4, 4)] * 3).bool()
inside, outside = similarity[same & ~torch.eye(12, dtype=torch.bool)].mean().item(), similarity[~same].mean().item()
nearest = similarity.fill_diagonal_(-1).argmax(1)
print(
    f"similarity within topics {inside:.3f}, between {outside:.3f};", {w: words[nearest[index[w]]] for w in words[::4]}
)
assert inside > outside + 0.3
