"""Train an LSTM language model on the characters of a text file.

    python character_lstm.py shakespeare.txt
    python character_lstm.py shakespeare.txt --resume

The text is read in parallel streams, whose states are kept from one chunk to the next. Each epoch ends with a
checkpoint and the bits per character on the last tenth of the text, which is not used for training. At the end the
folder ``--output`` also contains ``sample.txt``, a generated text, and ``learning.png``, the learning curve.
"""

import argparse
import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tqdm import tqdm

import flambeau as fb
from flambeau import nn

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ModuleNotFoundError as error:
    sys.exit(f'character_lstm.py needs the package {error.name}: pip install "flambeau[examples]"')

History = dict[str, list[float]]
State = tuple[fb.Tensor, fb.Tensor]


class CharacterLSTM(nn.Module):
    def __init__(self, vocabulary: int, hidden: int, layers: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, hidden)
        self.lstm = nn.LSTM(hidden, hidden, layers, dropout=dropout if layers > 1 else 0.0)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(hidden, vocabulary)

    def forward(self, letters: fb.Tensor, state: State | None = None) -> tuple[fb.Tensor, State]:
        """Return scores of each next letter, of shape (L, N, vocabulary), and the state after the last letter."""
        features, final_state = self.lstm(self.dropout(self.embedding(letters)), state)
        return self.output(self.dropout(features)), final_state


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train an LSTM to generate text in the style of a file.")
    parser.add_argument("text", type=Path, help="text file in UTF-8")
    parser.add_argument("--letters", type=int, help="number of characters to read (default: all)")
    parser.add_argument("--epochs", type=int, default=15, help="number of epochs (default: %(default)s)")
    parser.add_argument("--hidden", type=int, default=192, help="width of the LSTM (default: %(default)s)")
    parser.add_argument("--layers", type=int, default=2, help="layers of the LSTM (default: %(default)s)")
    parser.add_argument("--dropout", type=float, default=0.1, help="default: %(default)s")
    parser.add_argument("--length", type=int, default=64, help="length of a training sequence (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=32, help="parallel streams of text (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=4e-3, help="initial learning rate (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=0.8, help="sampling temperature (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="device to compute on, such as cuda (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/character-lstm"), help="default: %(default)s")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    return parser.parse_args(argv)


def streams(letters: fb.Tensor, count: int) -> fb.Tensor:
    """Arrange ``letters`` in ``count`` columns of consecutive text."""
    length = len(letters) // count
    return letters[: length * count].view(count, length).t().contiguous()


def chunks(columns: fb.Tensor, length: int) -> Iterator[tuple[fb.Tensor, fb.Tensor]]:
    """Yield pairs of inputs and targets, ``length`` rows each. The target of a letter is the letter that follows it."""
    for start in range(0, len(columns) - 1, length):
        stop = min(start + length, len(columns) - 1)
        yield columns[start:stop], columns[start + 1 : stop + 1]


def train_epoch(
    model: CharacterLSTM, columns: fb.Tensor, length: int, optimizer: fb.optim.Optimizer, description: str
) -> float:
    model.train()
    state, total, count = None, 0.0, 0
    steps = math.ceil((len(columns) - 1) / length)
    progress = tqdm(chunks(columns, length), total=steps, desc=description, unit="chunk", leave=False, disable=None)
    for letters, following in progress:
        scores, state = model(letters, state)
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), following.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        state = tuple(part.detach() for part in state)  # backpropagation stops at the beginning of the chunk
        total += loss.item() * following.numel()
        count += following.numel()
        progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return total / count


@fb.no_grad()
def bits_per_letter(model: CharacterLSTM, columns: fb.Tensor, length: int) -> float:
    model.eval()
    state, total, count = None, 0.0, 0
    for letters, following in chunks(columns, length):
        scores, state = model(letters, state)
        total += nn.functional.cross_entropy(scores.flatten(0, 1), following.flatten(), reduction="sum").item()
        count += following.numel()
    return total / count / math.log(2)


@fb.no_grad()
def write(model: CharacterLSTM, vocabulary: list[str], start: str, count: int, temperature: float) -> str:
    """Return ``count`` letters that continue ``start``, sampled one after another."""
    model.eval()
    codes = [vocabulary.index(letter) for letter in start if letter in vocabulary] or [0]
    letters, state = fb.tensor(codes).view(-1, 1), None
    for _ in range(count):
        scores, state = model(letters, state)
        letters = fb.multinomial((scores[-1] / temperature).softmax(-1), 1)
        codes.append(letters.item())
    return "".join(vocabulary[code] for code in codes)


def draw(history: History, path: Path) -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.add_subplot(xlabel="epoch", ylabel="bits per letter")
    for name, values in history.items():
        axis.plot(range(1, len(values) + 1), values, ".-", label=name)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    fb.set_default_device(args.device)
    text = args.text.read_text(encoding="utf-8")[: args.letters]
    vocabulary = sorted(set(text))
    code = {letter: number for number, letter in enumerate(vocabulary)}
    letters = fb.tensor([code[letter] for letter in text])
    boundary = len(letters) * 9 // 10
    train, test = streams(letters[:boundary], args.batch_size), streams(letters[boundary:], args.batch_size)

    fb.manual_seed(args.seed)
    model = CharacterLSTM(len(vocabulary), args.hidden, args.layers, args.dropout)
    optimizer = fb.optim.Adam(model.parameters(), lr=args.lr)
    scheduler = fb.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs, eta_min=args.lr / 20)
    history: History = {"training": [], "test": []}
    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint = args.output / "checkpoint.safetensors"
    if args.resume:
        state = fb.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        history = state["history"]
        print(f"Resuming after epoch {len(history['test'])}, from {checkpoint}")

    for epoch in range(len(history["test"]) + 1, args.epochs + 1):
        fb.manual_seed(1000 * args.seed + epoch)
        description = f"Epoch {epoch:{len(str(args.epochs))}}/{args.epochs}"
        loss = train_epoch(model, train, args.length, optimizer, description)
        scheduler.step()
        history["training"].append(loss / math.log(2))
        history["test"].append(bits_per_letter(model, test, args.length))
        print(f"{description}  bits per letter: training {history['training'][-1]:.3f}, test {history['test'][-1]:.3f}")
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
        fb.save({**state, "history": history}, checkpoint)

    fb.manual_seed(args.seed)
    sample = write(model, vocabulary, "\n", 500, args.temperature)
    (args.output / "sample.txt").write_text(sample, encoding="utf-8")
    draw(history, args.output / "learning.png")
    print(sample)
    print(f"Test: {history['test'][-1]:.3f} bits per letter; without a model: {math.log2(len(vocabulary)):.3f}")


if __name__ == "__main__":
    main()
