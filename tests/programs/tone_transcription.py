"""Transcription of melodies: spectrograms, batches of different lengths, and a recurrent network trained with CTC.

It also reconstructs the sound from a denoised spectrogram.
"""

import math

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torch.utils.data import DataLoader, Dataset, random_split

torch.manual_seed(0)

RATE, FFT, HOP = 2000, 128, 64
PITCHES = [220.0, 330.0, 440.0, 600.0]  # classes 1 to 4; 0 is CTC's blank
WINDOW = torch.hann_window(FFT)


def play(notes, noise=0.05):
    """Return the sound of notes with random lengths and short pauses."""
    pieces = []
    for note in notes:
        time = torch.arange(int(RATE * (0.12 + 0.08 * torch.rand(1).item()))) / RATE
        pieces += [torch.sin(2 * math.pi * PITCHES[note - 1] * time), torch.zeros(150)]
    sound = torch.cat(pieces)
    return sound + noise * torch.randn_like(sound)


def spectrogram(sound):
    spectrum = torch.stft(sound, FFT, HOP, window=WINDOW, return_complex=True)
    return spectrum.abs().square().clamp_min(1e-5).log10().T  # (time, frequency)


class Melodies(Dataset):
    def __init__(self, count):
        self.notes = [torch.randint(1, 5, (int(torch.randint(2, 5, ())),)) for _ in range(count)]
        self.frames = [spectrogram(play(notes.tolist())) for notes in self.notes]

    def __len__(self):
        return len(self.notes)

    def __getitem__(self, index):
        return self.frames[index], self.notes[index]


def collate(samples):
    frames, notes = zip(*samples)
    lengths = torch.tensor([len(one) for one in frames])
    return pad_sequence(frames, batch_first=True), lengths, torch.cat(notes), torch.tensor([len(n) for n in notes])


class Reader(nn.Module):
    def __init__(self, width=48):
        super().__init__()
        self.norm = nn.LayerNorm(FFT // 2 + 1)
        self.rnn = nn.GRU(FFT // 2 + 1, width, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * width, len(PITCHES) + 1)

    def forward(self, frames, lengths):
        packed = pack_padded_sequence(self.norm(frames), lengths.float(), batch_first=True, enforce_sorted=False)
        states, _ = pad_packed_sequence(self.rnn(packed)[0], batch_first=True)
        return F.log_softmax(self.head(states), dim=-1)


def read(scores, lengths):
    """Yield the most likely class of each frame without repeats and blanks."""
    for row, length in zip(scores.argmax(-1), lengths.tolist()):
        row = torch.unique_consecutive(row[:length])
        yield row[row != 0].tolist()


train, held_out = random_split(Melodies(160), [0.8, 0.2])
loader = DataLoader(train, batch_size=16, shuffle=True, collate_fn=collate)
model = Reader()
criterion = nn.CTCLoss(zero_infinity=True)
optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, epochs=14, steps_per_epoch=len(loader))
for epoch in range(14):
    total = 0.0
    for frames, lengths, notes, counts in loader:
        loss = criterion(model(frames, lengths).transpose(0, 1), notes, lengths, counts)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        schedule.step()
        total += loss.item()
    if epoch % 4 == 0:
        print(f"epoch {epoch:2d}: loss {total / len(loader):.3f}, rate {schedule.get_last_lr()[0]:.5f}")

model.eval()
right = 0
with torch.no_grad():
    for frames, lengths, notes, counts in DataLoader(held_out, batch_size=8, collate_fn=collate):
        wanted = [part.tolist() for part in notes.split(counts.tolist())]
        right += sum(a == b for a, b in zip(read(model(frames, lengths), lengths), wanted))
print(f"{right} of {len(held_out)} melodies read without a mistake")
assert right >= 0.8 * len(held_out)

# Remove noise: set weak frequencies of the spectrum to 0, and convert the spectrum back to sound.
clean = play([1, 3, 2], noise=0.0)
noisy = clean + 0.2 * torch.randn_like(clean)
spectrum = torch.stft(noisy, FFT, HOP, window=WINDOW, return_complex=True)
kept = torch.where(spectrum.abs() > 6.0, spectrum, 0)
again = torch.istft(kept, FFT, HOP, window=WINDOW, length=len(noisy))
exact = torch.istft(spectrum, FFT, HOP, window=WINDOW, length=len(noisy))
assert torch.allclose(exact, noisy, atol=1e-4)
assert F.mse_loss(again, clean) < 0.4 * F.mse_loss(noisy, clean)
