"""Train a residual network on the photographs of CIFAR-10.

    python cifar_resnet.py --root data --download
    python cifar_resnet.py --root data --resume

The network is the paper's for images of 32x32 pixels: a convolution and three groups of ``--blocks`` blocks. Each group
halves the size of the feature maps and doubles the channels. Each epoch ends with a checkpoint. At the end the folder
``--output`` also contains ``cifar.png``, the learning curve and some predictions.
Source: He, Zhang, Ren and Sun 2015, arXiv:1512.03385, section 4.2.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tqdm import tqdm

import flambeau as fb
from flambeau import nn
from flambeau.data import DataLoader
from flambeau.vision import datasets, transforms

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    sys.exit(f'cifar_resnet.py needs the package {error.name}: pip install "flambeau[examples]"')

History = dict[str, list[float]]

MEAN, STD = [0.4914, 0.4822, 0.4465], [0.2470, 0.2435, 0.2616]


class Block(nn.Module):
    """Residual block of two convolutions. ``shortcut`` converts the input to the shape of the output."""

    def __init__(self, channels: int, features: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, features, 3, stride, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(features)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or channels != features:
            fitted = nn.Conv2d(channels, features, 1, stride, bias=False)
            self.shortcut = nn.Sequential(fitted, nn.BatchNorm2d(features))

    def forward(self, x: fb.Tensor) -> fb.Tensor:
        features = self.norm1(self.conv1(x)).relu()
        return fb.relu(self.norm2(self.conv2(features)) + self.shortcut(x))


class ResNet(nn.Sequential):
    def __init__(self, blocks: int, width: int, classes: int = 10) -> None:
        layers = [nn.Conv2d(3, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()]
        channels = width
        for group in range(3):
            for block in range(blocks):
                features = width * 2**group
                layers.append(Block(channels, features, stride=2 if group > 0 and block == 0 else 1))
                channels = features
        super().__init__(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a residual network on CIFAR-10.")
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder that contains cifar-10-batches-py")
    parser.add_argument("--download", action="store_true", help="download the files if they are missing")
    parser.add_argument("--epochs", type=int, default=30, help="number of epochs (default: %(default)s)")
    parser.add_argument("--blocks", type=int, default=3, help="blocks per group, 3 in ResNet-20 (default: %(default)s)")
    parser.add_argument("--width", type=int, default=16, help="channels of the first group (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=128, help="images per step (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=0.2, help="highest learning rate (default: %(default)s)")
    parser.add_argument("--workers", type=int, default=2, help="processes that read images (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="device to compute on, such as cuda (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/cifar-resnet"), help="default: %(default)s")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    parser.add_argument("--require-accuracy", type=float, metavar="PERCENT", help="fail if the test accuracy is lower")
    return parser.parse_args(argv)


def load_data(args: argparse.Namespace) -> tuple[datasets.CIFAR10, datasets.CIFAR10]:
    to_input: list[Callable[..., Any]] = [transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    augmented = transforms.Compose([transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), *to_input])
    train = datasets.CIFAR10(args.root, train=True, transform=augmented, download=args.download)
    test = datasets.CIFAR10(args.root, train=False, transform=transforms.Compose(to_input), download=args.download)
    return train, test


def train_epoch(
    model: nn.Module,
    loader: DataLoader,
    loss_function: nn.Module,
    optimizer: fb.optim.Optimizer,
    scheduler: fb.optim.lr_scheduler.LRScheduler,
    description: str,
) -> float:
    model.train()
    total = 0.0
    progress = tqdm(loader, desc=description, unit="batch", leave=False, disable=None)
    for images, labels in progress:
        images, labels = images.to(fb.get_default_device()), labels.to(fb.get_default_device())
        optimizer.zero_grad()
        loss = loss_function(model(images), labels)
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item() * len(labels)
        progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return total / len(loader.dataset)


@fb.no_grad()
def evaluate(model: nn.Module, loader: DataLoader) -> float:
    """Return the accuracy on the images, in percent."""
    model.eval()
    correct = 0
    for images, labels in loader:
        images, labels = images.to(fb.get_default_device()), labels.to(fb.get_default_device())
        correct += (model(images).argmax(1) == labels).sum().item()
    return 100 * correct / len(loader.dataset)


@fb.no_grad()
def draw(model: nn.Module, test: datasets.CIFAR10, history: History, path: Path, count: int = 8) -> None:
    model.eval()
    images, labels = zip(*(test[index] for index in range(count)), strict=True)
    predictions = model(fb.stack(images).to(fb.get_default_device())).argmax(1).tolist()
    figure = Figure(figsize=(10, 5), layout="constrained")
    grid = figure.add_gridspec(2, count, height_ratios=[3, 1])
    for half, (name, values) in enumerate(history.items()):
        axis = figure.add_subplot(grid[0, half * count // 2 : (half + 1) * count // 2], title=name, xlabel="epoch")
        axis.plot(range(1, len(values) + 1), values, ".-")
        axis.grid(alpha=0.3)
    for place, (label, prediction) in enumerate(zip(labels, predictions, strict=True)):
        axis = figure.add_subplot(grid[1, place])
        axis.imshow(test.data[place])
        axis.set_title(test.classes[prediction], color="tab:green" if prediction == label else "tab:red", fontsize=9)
        axis.axis("off")
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    fb.set_default_device(args.device)
    train, test = load_data(args)
    options = {"num_workers": args.workers, "persistent_workers": args.workers > 0}
    train_loader = DataLoader(train, batch_size=args.batch_size, shuffle=True, **options)
    test_loader = DataLoader(test, batch_size=500)

    fb.manual_seed(args.seed)
    model = ResNet(args.blocks, args.width)
    optimizer = fb.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4, nesterov=True)
    scheduler = fb.optim.lr_scheduler.OneCycleLR(optimizer, args.lr, total_steps=args.epochs * len(train_loader))
    loss_function = nn.CrossEntropyLoss(label_smoothing=0.1)
    history: History = {"training loss": [], "test accuracy, %": []}
    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint = args.output / "checkpoint.safetensors"
    if args.resume:
        state = fb.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        history = state["history"]
        print(f"Resuming after epoch {len(history['training loss'])}, from {checkpoint}")

    for epoch in range(len(history["training loss"]) + 1, args.epochs + 1):
        fb.manual_seed(1000 * args.seed + epoch)
        description = f"Epoch {epoch:{len(str(args.epochs))}}/{args.epochs}"
        loss = train_epoch(model, train_loader, loss_function, optimizer, scheduler, description)
        accuracy = evaluate(model, test_loader)
        print(f"{description}  loss {loss:.4f}  test accuracy {accuracy:.2f} %", flush=True)
        history["training loss"].append(loss)
        history["test accuracy, %"].append(accuracy)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
        fb.save({**state, "history": history}, checkpoint)

    draw(model, test, history, args.output / "cifar.png")
    accuracy = history["test accuracy, %"][-1]
    print(f"Checkpoint and picture: {args.output}")
    print(f"Test accuracy: {accuracy:.2f} %")
    if args.require_accuracy is not None and accuracy < args.require_accuracy:
        sys.exit(f"cifar_resnet.py: the test accuracy is below the required {args.require_accuracy:.2f} %")


if __name__ == "__main__":
    main()
