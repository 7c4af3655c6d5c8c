"""A word language model: LSTM, GRU or Transformer, tied weights, truncated backpropagation, clipped gradients."""

import argparse
import math
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

SENTENCES = """the cat sat on the mat <eos> the dog sat on the log <eos> a cat saw a dog <eos> a dog saw the cat <eos>
the bird sang in the tree <eos> a bird saw the mat <eos> the cat saw the bird in the tree <eos>
the dog ran to the log <eos> the cat ran to the tree <eos> a bird sat on a log <eos>""".split()


class Dictionary:
    def __init__(self):
        self.word2idx = {}
        self.idx2word = []

    def add_word(self, word):
        if word not in self.word2idx:
            self.idx2word.append(word)
            self.word2idx[word] = len(self.idx2word) - 1
        return self.word2idx[word]

    def __len__(self):
        return len(self.idx2word)


class RNNModel(nn.Module):
    """Language model with an embedding, a recurrent module and a decoder."""

    def __init__(self, rnn_type, ntoken, ninp, nhid, nlayers, dropout=0.5, tie_weights=False):
        super().__init__()
        self.ntoken = ntoken
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = getattr(nn, rnn_type)(ninp, nhid, nlayers, dropout=dropout)
        self.decoder = nn.Linear(nhid, ntoken)
        if tie_weights:
            self.decoder.weight = self.encoder.weight
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        self.rnn_type, self.nhid, self.nlayers = rnn_type, nhid, nlayers

    def forward(self, input, hidden):
        emb = self.drop(self.encoder(input))
        output, hidden = self.rnn(emb, hidden)
        decoded = self.decoder(self.drop(output)).view(-1, self.ntoken)
        return F.log_softmax(decoded, dim=1), hidden

    def init_hidden(self, bsz):
        weight = next(self.parameters())
        zeros = weight.new_zeros(self.nlayers, bsz, self.nhid)
        return (zeros, weight.new_zeros(self.nlayers, bsz, self.nhid)) if self.rnn_type == "LSTM" else zeros


class PositionalEncoding(nn.Module):
    def __init__(self, d_model, dropout=0.1, max_len=500):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        pe = torch.zeros(max_len, d_model)
        position = torch.arange(0, max_len, dtype=torch.float).unsqueeze(1)
        div_term = torch.exp(torch.arange(0, d_model, 2).float() * (-math.log(10000.0) / d_model))
        pe[:, 0::2] = torch.sin(position * div_term)
        pe[:, 1::2] = torch.cos(position * div_term)
        self.register_buffer("pe", pe.unsqueeze(0).transpose(0, 1))

    def forward(self, x):
        return self.dropout(x + self.pe[: x.size(0), :])


class TransformerModel(nn.Transformer):
    def __init__(self, ntoken, ninp, nhead, nhid, nlayers, dropout=0.5):
        super().__init__(d_model=ninp, nhead=nhead, dim_feedforward=nhid, num_encoder_layers=nlayers, dropout=dropout)
        self.src_mask = None
        self.pos_encoder = PositionalEncoding(ninp, dropout)
        self.input_emb = nn.Embedding(ntoken, ninp)
        self.ninp = ninp
        self.decoder = nn.Linear(ninp, ntoken)

    def forward(self, src):
        if self.src_mask is None or self.src_mask.size(0) != len(src):
            self.src_mask = torch.log(torch.tril(torch.ones(len(src), len(src))))
        src = self.pos_encoder(self.input_emb(src) * math.sqrt(self.ninp))
        output = self.encoder(src, mask=self.src_mask)
        return F.log_softmax(self.decoder(output), dim=-1).view(-1, self.decoder.out_features)


def repackage_hidden(h):
    """Detach hidden states from the autograd graph."""
    return h.detach() if isinstance(h, torch.Tensor) else tuple(repackage_hidden(v) for v in h)


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data.narrow(0, 0, nbatch * bsz).view(bsz, -1).t().contiguous()


def get_batch(source, i, bptt):
    seq_len = min(bptt, len(source) - 1 - i)
    return source[i : i + seq_len], source[i + 1 : i + 1 + seq_len].view(-1)


def train(name, ntokens, data, args):
    torch.manual_seed(args.seed)
    if name == "Transformer":
        model = TransformerModel(ntokens, 32, 2, 64, 1, 0.1)
    else:
        model = RNNModel(name, ntokens, 32, 32, 2, 0.1, tie_weights=True)
    criterion = nn.NLLLoss()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    started = time.time()
    model.train()
    for _epoch in range(args.epochs):
        total = 0.0
        hidden = None if name == "Transformer" else model.init_hidden(data.size(1))
        for i in range(0, data.size(0) - 1, args.bptt):
            source, targets = get_batch(data, i, args.bptt)
            optimizer.zero_grad()
            if name == "Transformer":
                output = model(source)
            else:
                output, hidden = model(source, repackage_hidden(hidden))
            loss = criterion(output, targets)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), args.clip)
            optimizer.step()
            total += loss.item() * len(source)
    perplexity = math.exp(total / (len(data) - 1))
    print(f"{name:12} perplexity {perplexity:.2f} after {time.time() - started:.1f} s")
    return model, perplexity


parser = argparse.ArgumentParser(description="Language model")
parser.add_argument("--epochs", type=int, default=20)
parser.add_argument("--bptt", type=int, default=12)
parser.add_argument("--clip", type=float, default=0.5)
parser.add_argument("--seed", type=int, default=1111)
args = parser.parse_args()
dictionary = Dictionary()
ids = torch.tensor([dictionary.add_word(word) for word in SENTENCES * 6]).type(torch.int64)
data = batchify(ids, 6)
for name in ("LSTM", "GRU", "RNN", "Transformer"):
    model, perplexity = train(name, len(dictionary), data, args)
    assert perplexity < 5 < len(dictionary)
    model.eval()
    words = [dictionary.word2idx["the"]]
    with torch.no_grad():
        for _ in range(12):
            source = torch.tensor(words).view(-1, 1)
            output = model(source) if name == "Transformer" else model(source, model.init_hidden(1))[0]
            words.append(torch.multinomial(output[-1].exp(), 1)[0].item())
    print("  ", " ".join(dictionary.idx2word[word] for word in words))
