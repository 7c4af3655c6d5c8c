"""Train a small GPT on the characters of a text file and generate text.

    python gpt.py shakespeare.txt
    python gpt.py shakespeare.txt --resume --steps 4000

Every ``--every`` steps the model is evaluated on the last tenth of the text, which is not used for training, and a
checkpoint is written. At the end the folder ``--output`` also contains ``sample.txt``, a generated text, and
``learning.png``, the learning curve.
"""

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

import flambeau as fb
from flambeau import nn
from flambeau.nn import functional as F

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    sys.exit(f'gpt.py needs the package {error.name}: pip install "flambeau[examples]"')

History = dict[str, list[float]]


class Attention(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.qkv = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        batch, length, width = x.shape
        # each of shape (batch, heads, length, width of a head)
        q, k, v = self.qkv(x).view(batch, length, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        dropout = self.dropout if self.training else 0.0
        attended = F.scaled_dot_product_attention(q, k, v, dropout_p=dropout, is_causal=True)
        result: fb.Tensor = self.output(attended.transpose(1, 2).reshape(batch, length, width))
        return result


class Block(nn.Module):
    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(width), Attention(width, heads, dropout)
        self.mlp_norm = nn.LayerNorm(width)
        self.mlp = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        x = x + self.dropout(self.attention(self.attention_norm(x)))
        return fb.add(x, self.dropout(self.mlp(self.mlp_norm(x))))


class GPT(nn.Module):
    """Transformer that maps letters (N, L), L <= ``length``, to scores of each next letter (N, L, vocabulary)."""

    def __init__(self, vocabulary: int, length: int, width: int, layers: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.length = length
        self.letters, self.positions = nn.Embedding(vocabulary, width), nn.Embedding(length, width)
        self.blocks = nn.Sequential(*(Block(width, heads, dropout) for _ in range(layers)))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, vocabulary, bias=False)
        self.output.weight = self.letters.weight
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                residual = name.endswith(("output.weight", "mlp.2.weight")) and name.startswith("blocks")
                nn.init.normal_(parameter, std=0.02 / math.sqrt(2 * layers) if residual else 0.02)

    def forward(self, letters: fb.Tensor) -> fb.Tensor:
        x = self.letters(letters) + self.positions.weight[: letters.shape[1]]
        scores: fb.Tensor = self.output(self.norm(self.blocks(x)))
        return scores


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a small GPT on a text file.")
    parser.add_argument("text", type=Path, help="text file in UTF-8")
    parser.add_argument("--letters", type=int, help="number of characters to read (default: all)")
    parser.add_argument("--steps", type=int, default=2000, help="training steps (default: %(default)s)")
    parser.add_argument("--every", type=int, default=250, help="steps between tests (default: %(default)s)")
    parser.add_argument("--length", type=int, default=64, help="context length in characters (default: %(default)s)")
    parser.add_argument("--width", type=int, default=128, help="size of the embeddings (default: %(default)s)")
    parser.add_argument("--layers", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--heads", type=int, default=4, help="default: %(default)s")
    parser.add_argument("--dropout", type=float, default=0.0, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=16, help="default: %(default)s")
    parser.add_argument("--lr", type=float, default=2e-3, help="highest learning rate (default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=0.8, help="sampling temperature (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="device to compute on, such as cuda (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/gpt"), help="default: %(default)s")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    return parser.parse_args(argv)


def make_optimizer(model: GPT, lr: float) -> fb.optim.AdamW:
    """Return AdamW with weight decay for matrices, but not for biases and normalisations."""
    matrices = [p for p in model.parameters() if p.dim() >= 2]
    vectors = [p for p in model.parameters() if p.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": vectors, "weight_decay": 0.0}]
    return fb.optim.AdamW(groups, lr=lr, betas=(0.9, 0.95))


def draw_batch(text: fb.Tensor, length: int, count: int) -> tuple[fb.Tensor, fb.Tensor]:
    starts = fb.randint(len(text) - length, (count, 1))
    places = starts + fb.arange(length + 1)
    return text[places[:, :-1]], text[places[:, 1:]]


def make_scheduler(optimizer: fb.optim.Optimizer, steps: int) -> fb.optim.lr_scheduler.LambdaLR:
    """Return a schedule with a linear warm-up and a cosine decay to a tenth of the learning rate."""
    warmup = max(1, steps // 20)
    return fb.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, 0.55 + 0.45 * math.cos(math.pi * min(1.0, step / steps)))
    )


def train_steps(
    model: GPT,
    optimizer: fb.optim.Optimizer,
    scheduler: fb.optim.lr_scheduler.LRScheduler,
    text: fb.Tensor,
    steps: range,
    batch_size: int,
) -> float:
    """Train for the given steps and return the mean loss."""
    model.train()
    total = 0.0
    for _ in tqdm(steps, desc=f"Steps to {steps.stop}", unit="step", leave=False, disable=None):
        x, y = draw_batch(text, model.length, batch_size)
        loss = F.cross_entropy(model(x).flatten(0, 1), y.flatten())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        scheduler.step()
        total += loss.item()
    return total / len(steps)


@fb.no_grad()
def evaluate(model: GPT, text: fb.Tensor, batch_size: int) -> float:
    """Return the mean loss over ``text``, in pieces of the model's context length."""
    model.eval()
    count = (len(text) - 1) // model.length
    inputs, targets = (text[shift : shift + count * model.length].view(count, -1) for shift in (0, 1))
    total = 0.0
    for x, y in zip(inputs.split(batch_size), targets.split(batch_size), strict=True):
        total += F.cross_entropy(model(x).flatten(0, 1), y.flatten(), reduction="sum").item()
    return total / targets.numel()


@fb.no_grad()
def write(model: GPT, vocabulary: list[str], start: str, count: int, temperature: float) -> str:
    model.eval()
    letters = fb.tensor([[vocabulary.index(letter) for letter in start if letter in vocabulary] or [0]])
    for _ in range(count):
        scores = model(letters[:, -model.length :])[:, -1]
        letters = fb.cat([letters, fb.multinomial((scores / temperature).softmax(-1), 1)], dim=1)
    return "".join(vocabulary[code] for code in letters[0].tolist())


def draw(history: History, path: Path) -> None:
    figure = Figure(figsize=(6, 4), layout="constrained")
    axis = figure.add_subplot(xlabel="step", ylabel="nats per letter")
    for name in ("training", "test"):
        axis.plot(history["step"], history[name], ".-", label=name)
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    fb.set_default_device(args.device)
    letters = args.text.read_text(encoding="utf-8")[: args.letters]
    vocabulary = sorted(set(letters))
    code = {letter: number for number, letter in enumerate(vocabulary)}
    text = fb.tensor([code[letter] for letter in letters])
    train, test = text[: len(text) * 9 // 10], text[len(text) * 9 // 10 :]

    fb.manual_seed(args.seed)
    model = GPT(len(vocabulary), args.length, args.width, args.layers, args.heads, args.dropout)
    optimizer = make_optimizer(model, args.lr)
    scheduler = make_scheduler(optimizer, args.steps)
    history: History = {"step": [], "training": [], "test": []}
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {len(text):,} letters")
    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint = args.output / "checkpoint.safetensors"
    step = 0
    if args.resume:
        state = fb.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        history = state["history"]
        step = int(history["step"][-1])
        print(f"Resuming after step {step}, from {checkpoint}")

    while step < args.steps:
        fb.manual_seed(1_000_003 * args.seed + step)
        steps = range(step, min(step + args.every, args.steps))
        loss = train_steps(model, optimizer, scheduler, train, steps, args.batch_size)
        history["training"].append(loss)
        history["test"].append(evaluate(model, test, args.batch_size))
        step = steps.stop
        history["step"].append(step)
        print(f"Step {step}/{args.steps}  loss {loss:.4f}  test {history['test'][-1]:.4f}", flush=True)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
        fb.save({**state, "history": history}, checkpoint)

    fb.manual_seed(args.seed)
    sample = write(model, vocabulary, "\n", 500, args.temperature)
    (args.output / "sample.txt").write_text(sample, encoding="utf-8")
    draw(history, args.output / "learning.png")
    print(sample)
    print(f"Test loss: {history['test'][-1]:.4f}")


if __name__ == "__main__":
    main()
