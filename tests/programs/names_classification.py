"""A character RNN, computed cell by cell, classifies names by language."""

import random
import string
import unicodedata

import torch
import torch.nn as nn
import torch.nn.functional as F

NAMES = {
    "Italian": "Rossi Bianchi Esposito Romano Colombo Ricci Marino Greco Gallo Conti Mancini Lombardi Moretti Barbieri",
    "Russian": "Ivanov Smirnov Kuznetsov Popov Sokolov Lebedev Kozlov Novikov Morozov Petrov Volkov Solovyov Vasilyev",
    "Japanese": "Sato Suzuki Takahashi Tanaka Watanabe Yamamoto Nakamura Kobayashi Kato Yoshida Yamada Sasaki",
    "Irish": "O'Brien O'Connor O'Neill O'Reilly O'Sullivan O'Donnell O'Keefe O'Leary O'Shea O'Rourke O'Hara O'Dea",
}
ALL_LETTERS = string.ascii_letters + " .,;'"
n_letters = len(ALL_LETTERS)


def unicode_to_ascii(s):
    return "".join(c for c in unicodedata.normalize("NFD", s) if unicodedata.category(c) != "Mn" and c in ALL_LETTERS)


def line_to_tensor(line):
    """Return one-hot letters of shape <line_length x 1 x n_letters>."""
    tensor = torch.zeros(len(line), 1, n_letters)
    for li, letter in enumerate(line):
        tensor[li][0][ALL_LETTERS.find(letter)] = 1
    return tensor


class RNN(nn.Module):
    def __init__(self, input_size, hidden_size, output_size):
        super(RNN, self).__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size, hidden_size)
        self.h2h = nn.Linear(hidden_size, hidden_size)
        self.h2o = nn.Linear(hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input, hidden):
        hidden = F.tanh(self.i2h(input) + self.h2h(hidden))
        return self.softmax(self.h2o(hidden)), hidden

    def initHidden(self):
        return torch.zeros(1, self.hidden_size)


random.seed(0)
torch.manual_seed(0)
categories = list(NAMES)
lines = {category: [unicode_to_ascii(name) for name in NAMES[category].split()] for category in categories}
assert unicode_to_ascii("Ślusàrski") == "Slusarski"
rnn = RNN(n_letters, 48, len(categories))
criterion = nn.NLLLoss()
learning_rate = 0.01


def category_from_output(output):
    top_n, top_i = output.topk(1)
    return categories[top_i[0].item()], top_i[0].item()


def train(category_tensor, line_tensor):
    hidden = rnn.initHidden()
    rnn.zero_grad()
    for i in range(line_tensor.size()[0]):
        output, hidden = rnn(line_tensor[i], hidden)
    loss = criterion(output, category_tensor)
    loss.backward()
    nn.utils.clip_grad_value_(rnn.parameters(), 1.0)
    for p in rnn.parameters():
        p.data.add_(p.grad.data, alpha=-learning_rate)
    return output, loss.item()


current_loss = 0.0
for it in range(1, 2401):
    category = random.choice(categories)
    line = random.choice(lines[category])
    category_tensor = torch.tensor([categories.index(category)], dtype=torch.long)
    output, loss = train(category_tensor, line_to_tensor(line))
    current_loss += loss
    if it % 400 == 0:
        guess, _ = category_from_output(output)
        correct = "ok" if guess == category else f"wrong ({category})"
        print(f"{it} {100 * it // 2400}% {current_loss / 400:.4f} {line} / {guess} {correct}")
        last_loss, current_loss = current_loss / 400, 0.0


@torch.no_grad()
def predict(name):
    hidden = rnn.initHidden()
    for letter in line_to_tensor(name):
        output, hidden = rnn(letter, hidden)
    return category_from_output(output)[0]


known = [(predict(name), category) for category in categories for name in lines[category]]
accuracy = sum(guess == truth for guess, truth in known) / len(known)
print(f"accuracy {accuracy:.3f}; O'Malley: {predict('O' + chr(39) + 'Malley')}, Pavlov: {predict('Pavlov')}")
assert last_loss < 0.6 and accuracy > 0.85 and predict("O'Malley") == "Irish"
