"""Character generation conditioned on a category, with nn.LSTM over packed sequences of different lengths."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset

WORDS = {
    "metals": ["iron", "tin", "copper", "silver", "gold", "nickel"],
    "trees": ["oak", "ash", "maple", "birch", "willow", "elm"],
}
LETTERS = "abcdefghijklmnopqrstuvwxyz"
END, START, PAD = 26, 27, 28
categories = list(WORDS)


class Words(Dataset):
    def __init__(self):
        self.samples = [(c, word) for c in range(len(categories)) for word in WORDS[categories[c]]]

    def __len__(self):
        return len(self.samples)

    def __getitem__(self, index):
        category, word = self.samples[index]
        codes = [LETTERS.index(letter) for letter in word]
        return category, torch.LongTensor([START, *codes]), torch.LongTensor([*codes, END])


def collate(samples):
    category, inputs, targets = zip(*samples)
    lengths = torch.tensor([len(x) for x in inputs])
    return (
        torch.tensor(category),
        pad_sequence(inputs, batch_first=True, padding_value=PAD),
        pad_sequence(targets, batch_first=True, padding_value=PAD),
        lengths,
    )


class Generator(nn.Module):
    def __init__(self, hidden=64):
        super().__init__()
        self.letter = nn.Embedding(29, 16, padding_idx=PAD)
        self.category = nn.Embedding(len(categories), 8)
        self.lstm = nn.LSTM(24, hidden, batch_first=True)
        self.dropout = nn.Dropout(0.1)
        self.output = nn.Linear(hidden, 29)

    def forward(self, category, letters, lengths=None, state=None):
        context = self.category(category).unsqueeze(1).expand(-1, letters.size(1), -1)
        x = torch.cat((self.letter(letters), context), dim=-1)
        if lengths is not None:
            packed = pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
            packed, state = self.lstm(packed, state)
            x, _ = pad_packed_sequence(packed, batch_first=True, padding_value=0.0)
        else:
            x, state = self.lstm(x, state)
        return self.output(self.dropout(x)), state


torch.manual_seed(0)
model = Generator()
loader = DataLoader(Words(), batch_size=4, shuffle=True, collate_fn=collate)
optimizer = torch.optim.RMSprop(model.parameters(), lr=0.005)
scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.98)
for epoch in range(60):
    total = 0.0
    for category, inputs, targets, lengths in loader:
        logits, _ = model(category, inputs, lengths)
        loss = F.cross_entropy(logits.transpose(1, 2), targets, ignore_index=PAD)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    scheduler.step()
    if epoch % 20 == 19:
        print(f"epoch {epoch + 1} loss {total / len(loader):.4f} lr {scheduler.get_last_lr()[0]:.5f}")


@torch.inference_mode()
def sample(category, first, max_length=12):
    model.eval()
    word, state = first, None
    letters = torch.tensor([[START, LETTERS.index(first)]])
    for _ in range(max_length):
        logits, state = model(torch.tensor([categories.index(category)]), letters, state=state)
        choice = logits[0, -1].topk(1)[1].item()
        if choice >= END:
            break
        word += LETTERS[choice]
        letters = torch.tensor([[choice]])
    return word


made = {
    category: [sample(category, first) for first in sorted({w[0] for w in WORDS[category]})] for category in categories
}
print(made)
right = sum(word in WORDS[category] for category, words in made.items() for word in words)
assert right >= 0.8 * sum(map(len, made.values()))
assert torch.equal(model.letter.weight[PAD], torch.zeros(16))
