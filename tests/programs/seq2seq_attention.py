"""Translation of numbers into words by GRUs with Bahdanau's attention and teacher forcing."""

import random

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch import optim
from torch.utils.data import DataLoader, RandomSampler, TensorDataset

SOS_token, EOS_token = 0, 1
ONES = "zero one two three four five six seven eight nine".split()
MAX_LENGTH = 5
device = torch.device("cuda" if torch.cuda.is_available() else "cpu")


class Lang:
    def __init__(self, name):
        self.name = name
        self.word2index = {}
        self.index2word = {0: "SOS", 1: "EOS"}
        self.n_words = 2

    def add_sentence(self, sentence):
        for word in sentence.split(" "):
            if word not in self.word2index:
                self.word2index[word] = self.n_words
                self.index2word[self.n_words] = word
                self.n_words += 1


class EncoderRNN(nn.Module):
    def __init__(self, input_size, hidden_size, dropout_p=0.05):
        super(EncoderRNN, self).__init__()
        self.embedding = nn.Embedding(input_size, hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout_p)

    def forward(self, input):
        return self.gru(self.dropout(self.embedding(input)))


class BahdanauAttention(nn.Module):
    def __init__(self, hidden_size):
        super(BahdanauAttention, self).__init__()
        self.Wa = nn.Linear(hidden_size, hidden_size)
        self.Ua = nn.Linear(hidden_size, hidden_size)
        self.Va = nn.Linear(hidden_size, 1)

    def forward(self, query, keys):
        scores = self.Va(torch.tanh(self.Wa(query) + self.Ua(keys))).squeeze(2).unsqueeze(1)
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, keys), weights


class AttnDecoderRNN(nn.Module):
    def __init__(self, hidden_size, output_size):
        super(AttnDecoderRNN, self).__init__()
        self.embedding = nn.Embedding(output_size, hidden_size)
        self.attention = BahdanauAttention(hidden_size)
        self.gru = nn.GRU(2 * hidden_size, hidden_size, batch_first=True)
        self.out = nn.Linear(hidden_size, output_size)

    def forward(self, encoder_outputs, encoder_hidden, target_tensor=None):
        batch_size = encoder_outputs.size(0)
        decoder_input = torch.empty(batch_size, 1, dtype=torch.long, device=device).fill_(SOS_token)
        decoder_hidden = encoder_hidden
        decoder_outputs, attentions = [], []
        for i in range(MAX_LENGTH):
            decoder_output, decoder_hidden, attn_weights = self.forward_step(
                decoder_input, decoder_hidden, encoder_outputs
            )
            decoder_outputs.append(decoder_output)
            attentions.append(attn_weights)
            if target_tensor is not None:
                decoder_input = target_tensor[:, i].unsqueeze(1)
            else:
                _, topi = decoder_output.topk(1)
                decoder_input = topi.squeeze(-1).detach()
        decoder_outputs = F.log_softmax(torch.cat(decoder_outputs, dim=1), dim=-1)
        return decoder_outputs, decoder_hidden, torch.cat(attentions, dim=1)

    def forward_step(self, input, hidden, encoder_outputs):
        embedded = self.embedding(input)
        context, attn_weights = self.attention(hidden.permute(1, 0, 2), encoder_outputs)
        output, hidden = self.gru(torch.cat((embedded, context), dim=2), hidden)
        return self.out(output), hidden, attn_weights


random.seed(0)
torch.manual_seed(0)
pairs = [(" ".join(f"{n:03d}"), " ".join(ONES[int(d)] for d in reversed(f"{n:03d}"))) for n in range(300)]
random.shuffle(pairs)
digits, words = Lang("digits"), Lang("words backwards")
for source, target in pairs:
    digits.add_sentence(source)
    words.add_sentence(target)


def tensor_from(lang, sentence, length):
    indexes = [lang.word2index[word] for word in sentence.split(" ")] + [EOS_token]
    return torch.tensor(indexes + [EOS_token] * (length - len(indexes)), dtype=torch.long)


sources = torch.stack([tensor_from(digits, source, 4) for source, _ in pairs])
targets = torch.stack([tensor_from(words, target, MAX_LENGTH) for _, target in pairs])
data = TensorDataset(sources.to(device), targets.to(device))
dataloader = DataLoader(data, sampler=RandomSampler(data), batch_size=32)
encoder = EncoderRNN(digits.n_words, 48).to(device)
decoder = AttnDecoderRNN(48, words.n_words).to(device)
encoder_optimizer = optim.Adam(encoder.parameters(), lr=0.008)
decoder_optimizer = optim.Adam(decoder.parameters(), lr=0.008)
criterion = nn.NLLLoss()
for epoch in range(10):
    total_loss = 0
    for input_tensor, target_tensor in dataloader:
        encoder_optimizer.zero_grad()
        decoder_optimizer.zero_grad()
        encoder_outputs, encoder_hidden = encoder(input_tensor)
        decoder_outputs, _, _ = decoder(encoder_outputs, encoder_hidden, target_tensor)
        loss = criterion(decoder_outputs.view(-1, decoder_outputs.size(-1)), target_tensor.view(-1))
        loss.backward()
        encoder_optimizer.step()
        decoder_optimizer.step()
        total_loss += loss.item()
    print(f"epoch {epoch + 1} loss {total_loss / len(dataloader):.4f}")

encoder.eval()
decoder.eval()
with torch.no_grad():
    outputs, _, attentions = decoder(*encoder(sources))
    _, topi = outputs.topk(1)
    decoded = [[words.index2word[i] for i in row if i != EOS_token] for row in topi.squeeze(-1).tolist()]
right = sum(" ".join(found) == target for found, (_, target) in zip(decoded, pairs)) / len(pairs)
print(f"{pairs[0][0]} -> {' '.join(decoded[0])}; {100 * right:.1f} % right")
assert right > 0.9 and attentions.shape == (300, MAX_LENGTH, 4)
assert torch.allclose(attentions.sum(-1), torch.ones(300, MAX_LENGTH))
