"""Recommend items by matrix factorisation: a rating is the dot product of two embeddings.

    python matrix_factorisation.py
    python matrix_factorisation.py --ratings ratings.csv --resume      # columns: user, item, rating; numbers from 0

Without a file the program generates ratings of films by users from a low-rank model. A tenth of the ratings is the test
set. Each epoch ends with a checkpoint. The folder ``--output`` also contains ``ratings.png``: the learning curve, and
the predictions for the test set.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

import flambeau as fb
from flambeau import nn
from flambeau.data import DataLoader, Subset, TensorDataset, random_split

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    sys.exit(f'matrix_factorisation.py needs the package {error.name}: pip install "flambeau[examples]"')

History = dict[str, list[float]]


class Factorisation(nn.Module):
    """Model with rating(user, item) = mean + bias(user) + bias(item) + vector(user) . vector(item)."""

    mean: fb.Tensor

    def __init__(self, users: int, items: int, rank: int, mean: float) -> None:
        super().__init__()
        self.users, self.items = nn.Embedding(users, rank), nn.Embedding(items, rank)
        self.user_bias, self.item_bias = nn.Embedding(users, 1), nn.Embedding(items, 1)
        self.register_buffer("mean", fb.tensor(mean))
        for table in (self.users, self.items):
            nn.init.normal_(table.weight, std=0.1)
        for table in (self.user_bias, self.item_bias):
            nn.init.zeros_(table.weight)

    def forward(self, user: fb.Tensor, item: fb.Tensor) -> fb.Tensor:
        biases: fb.Tensor = self.user_bias(user) + self.item_bias(item)
        similarity: fb.Tensor = (self.users(user) * self.items(item)).sum(-1)
        return self.mean + biases.squeeze(-1) + similarity


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Recommend by factorising the matrix of ratings.")
    parser.add_argument("--ratings", type=Path, help="CSV file: user, item, rating (default: simulated)")
    parser.add_argument("--users", type=int, default=400, help="number of simulated users (default: %(default)s)")
    parser.add_argument("--items", type=int, default=300, help="number of simulated items (default: %(default)s)")
    parser.add_argument("--rank", type=int, default=4, help="size of the embeddings (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=20, help="default: %(default)s")
    parser.add_argument("--batch-size", type=int, default=256, help="default: %(default)s")
    parser.add_argument("--lr", type=float, default=0.01, help="learning rate (default: %(default)s)")
    parser.add_argument("--weight-decay", type=float, default=0.1, help="default: %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/matrix-factorisation"), help="default: %(default)s")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    return parser.parse_args(argv)


def load_ratings(args: argparse.Namespace) -> tuple[fb.Tensor, fb.Tensor, fb.Tensor]:
    """Return users, items and ratings as tensors of equal length."""
    if args.ratings:
        table = np.loadtxt(args.ratings, delimiter=",", ndmin=2)
        users, items = fb.from_numpy(table[:, :2].astype(np.int64)).unbind(1)
        return users, items, fb.tensor(table[:, 2]).float()
    tastes, films = fb.randn(args.users, 3), fb.randn(args.items, 3)
    kindness, quality = 0.4 * fb.randn(args.users, 1), 0.4 * fb.randn(args.items)
    opinion = 3.2 + kindness + quality + 0.5 * tastes @ films.T + 0.3 * fb.randn(args.users, args.items)
    users, items = (fb.rand(args.users, args.items) < 0.2).nonzero(as_tuple=True)
    return users, items, opinion[users, items].clamp(1, 5)


@fb.no_grad()
def evaluate(model: Factorisation, dataset: Subset[tuple[fb.Tensor, ...]]) -> tuple[fb.Tensor, fb.Tensor, float]:
    """Return the predictions, the true ratings, and the root-mean-square error."""
    users, items, ratings = dataset.dataset[dataset.indices]
    predicted = model(users, items)
    return predicted, ratings, (predicted - ratings).square().mean().sqrt().item()


def draw(history: History, predicted: fb.Tensor, truth: fb.Tensor, path: Path) -> None:
    figure = Figure(figsize=(10, 4), layout="constrained")
    left = figure.add_subplot(1, 2, 1, xlabel="epoch", ylabel="error")
    for name, values in history.items():
        left.plot(range(1, len(values) + 1), values, ".-", label=name)
    left.legend()
    right = figure.add_subplot(1, 2, 2, xlabel="rating", ylabel="prediction", aspect="equal")
    right.plot(truth, predicted, ".", alpha=0.3, markersize=3)
    right.axline((3, 3), slope=1, color="black", linewidth=0.8)
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    fb.manual_seed(args.seed)
    users, items, ratings = load_ratings(args)
    train, test = random_split(TensorDataset(users, items, ratings), [0.9, 0.1])
    mean = ratings[fb.tensor(train.indices)].mean().item()
    model = Factorisation(int(users.max()) + 1, int(items.max()) + 1, args.rank, mean)
    optimizer = fb.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=args.weight_decay)
    loader = DataLoader(train, batch_size=args.batch_size, shuffle=True)
    history: History = {"training": [], "test": []}
    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint = args.output / "checkpoint.safetensors"
    if args.resume:
        state = fb.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        history = state["history"]
        print(f"Resuming after epoch {len(history['test'])}, from {checkpoint}")

    for epoch in range(len(history["test"]) + 1, args.epochs + 1):
        fb.manual_seed(1000 * args.seed + epoch)
        description = f"Epoch {epoch:{len(str(args.epochs))}}/{args.epochs}"
        total = 0.0
        for user, item, rating in tqdm(loader, desc=description, unit="batch", leave=False, disable=None):
            loss = nn.functional.mse_loss(model(user, item), rating)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(rating)
        history["training"].append((total / len(train)) ** 0.5)
        history["test"].append(evaluate(model, test)[2])
        print(f"{description}  error: training {history['training'][-1]:.4f}, test {history['test'][-1]:.4f}")
        fb.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}, checkpoint)

    predicted, truth, error = evaluate(model, test)
    draw(history, predicted, truth, args.output / "ratings.png")
    constant = (truth - mean).square().mean().sqrt().item()
    print(f"Test error: {error:.4f}; always guessing the mean: {constant:.4f}")


if __name__ == "__main__":
    main()
