"""Train a variational autoencoder on handwritten digits and draw what it has learned.

On the UCI digits, which come with flambeau, or on MNIST:

    python vae.py
    python vae.py --data mnist --root data --download
    python vae.py --resume

Each epoch ends with a checkpoint. At the end the folder ``--output`` also contains ``reconstructions.png``, test images
above their reconstructions; ``samples.png``, generated digits; and ``between.png``, interpolations between digits.
Source: Kingma and Welling 2013, arXiv:1312.6114.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

import flambeau as fb
from flambeau import nn
from flambeau.data import DataLoader
from flambeau.nn import functional as F
from flambeau.vision import datasets, transforms

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    sys.exit(f'vae.py needs the package {error.name}: pip install "flambeau[examples]"')

History = dict[str, list[float]]
Images = datasets.MNIST | datasets.Digits

EPOCHS = {"digits": 60, "mnist": 20}


class VAE(nn.Module):
    """Variational autoencoder.

    The encoder maps images (N, 1, size, size) in 0..1 to normally distributed codes (N, latent). The decoder maps codes
    to the logits of images.
    """

    def __init__(self, size: int, hidden: int, latent: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(size * size, hidden), nn.ReLU(), nn.Linear(hidden, hidden))
        self.mean, self.log_variance = nn.Linear(hidden, latent), nn.Linear(hidden, latent)
        self.decoder = nn.Sequential(
            nn.Linear(latent, hidden),
            nn.ReLU(),
            nn.Linear(hidden, hidden),
            nn.ReLU(),
            nn.Linear(hidden, size * size),
            nn.Unflatten(1, (1, size, size)),
        )

    def encode(self, images: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor]:
        features = self.encoder(images).relu()
        return self.mean(features), self.log_variance(features)

    def forward(self, images: fb.Tensor) -> tuple[fb.Tensor, fb.Tensor, fb.Tensor]:
        mean, log_variance = self.encode(images)
        code = mean + (0.5 * log_variance).exp() * fb.randn_like(mean)
        return self.decoder(code), mean, log_variance


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a variational autoencoder on handwritten digits.")
    parser.add_argument("--data", choices=EPOCHS, default="digits", help="default: %(default)s, shipped with flambeau")
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of the MNIST files (default: data)")
    parser.add_argument("--download", action="store_true", help="download the MNIST files if they are missing")
    parser.add_argument("--epochs", type=int, help="number of epochs")
    parser.add_argument("--hidden", type=int, default=256, help="width of the layers (default: %(default)s)")
    parser.add_argument("--latent", type=int, default=10, help="size of the latent code (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=64, help="images per step (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=2e-3, help="learning rate (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="device to compute on, such as cuda (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="default: runs/vae-DATA")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    args = parser.parse_args(argv)
    args.output = args.output or Path("runs") / f"vae-{args.data}"
    args.epochs = EPOCHS[args.data] if args.epochs is None else args.epochs
    return args


def load_data(args: argparse.Namespace) -> tuple[Images, Images]:
    to_tensor = transforms.ToTensor()
    if args.data == "mnist":
        return (
            datasets.MNIST(args.root, train=True, transform=to_tensor, download=args.download),
            datasets.MNIST(args.root, train=False, transform=to_tensor, download=args.download),
        )
    return datasets.Digits(train=True, transform=to_tensor), datasets.Digits(train=False, transform=to_tensor)


def loss_of(logits: fb.Tensor, images: fb.Tensor, mean: fb.Tensor, log_variance: fb.Tensor) -> fb.Tensor:
    """Return the negative evidence lower bound in nats per image: the reconstruction loss plus the KL divergence."""
    lost = F.binary_cross_entropy_with_logits(logits, images, reduction="sum")
    said = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum()
    return (lost + said) / len(images)


def train_epoch(model: VAE, loader: DataLoader, optimizer: fb.optim.Optimizer, description: str) -> float:
    model.train()
    total = 0.0
    progress = tqdm(loader, desc=description, unit="batch", leave=False, disable=None)
    for images, _ in progress:
        images = images.to(fb.get_default_device())
        logits, mean, log_variance = model(images)
        loss = loss_of(logits, images, mean, log_variance)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(images)
        progress.set_postfix(loss=f"{loss.item():.2f}", refresh=False)
    return total / len(loader.dataset)


@fb.no_grad()
def evaluate(model: VAE, loader: DataLoader) -> float:
    model.eval()
    total = 0.0
    for images, _ in loader:
        images = images.to(fb.get_default_device())
        logits, mean, log_variance = model(images)
        total += loss_of(logits, images, mean, log_variance).item() * len(images)
    return total / len(loader.dataset)


def draw(images: fb.Tensor, path: Path) -> None:
    """Draw images (rows, columns, 1, height, width) as a grid."""
    rows, columns, _, height, width = images.shape
    figure = Figure(figsize=(columns * 0.6, rows * 0.6))
    axis = figure.add_axes((0, 0, 1, 1))
    axis.imshow(images.cpu()[:, :, 0].permute(0, 2, 1, 3).reshape(rows * height, columns * width), cmap="gray_r")
    axis.axis("off")
    figure.savefig(path, dpi=120)


@fb.no_grad()
def draw_all(model: VAE, test: Images, latent: int, folder: Path, count: int = 12) -> None:
    model.eval()
    images = fb.stack([test[index][0] for index in range(count)]).to(fb.get_default_device())
    codes = model.encode(images)[0]
    draw(fb.stack([images, model.decoder(codes).sigmoid()]), folder / "reconstructions.png")
    samples = model.decoder(fb.randn(5 * count, latent)).sigmoid()
    draw(samples.unflatten(0, (5, count)), folder / "samples.png")
    weight = fb.linspace(0, 1, count)[:, None]
    between = [model.decoder(fb.lerp(codes[i], codes[i + 1], weight)).sigmoid() for i in range(5)]
    draw(fb.stack(between), folder / "between.png")


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    fb.set_default_device(args.device)
    train, test = load_data(args)
    train_loader = DataLoader(train, batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(test, batch_size=500)

    fb.manual_seed(args.seed)
    model = VAE(train.data.shape[-1], args.hidden, args.latent)
    optimizer = fb.optim.Adam(model.parameters(), lr=args.lr)
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
        history["training"].append(train_epoch(model, train_loader, optimizer, description))
        history["test"].append(evaluate(model, test_loader))
        print(
            f"{description}  loss: training {history['training'][-1]:.3f}, test {history['test'][-1]:.3f}", flush=True
        )
        fb.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}, checkpoint)

    fb.manual_seed(args.seed)
    draw_all(model, test, args.latent, args.output)
    print(f"Checkpoint and pictures: {args.output}")
    print(f"Test loss: {history['test'][-1]:.3f} nats per image")


if __name__ == "__main__":
    main()
