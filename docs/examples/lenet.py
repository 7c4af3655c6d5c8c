"""Train LeNet on handwritten digits.

On the UCI digits, which come with flambeau (seconds, no network), or on MNIST:

    python lenet.py
    python lenet.py --data mnist --root data --download
    python lenet.py --resume

Each epoch ends with a checkpoint. ``--resume`` continues from it, with the same results as an uninterrupted run. At the
end the folder ``--output`` also contains ``lenet.png``: the learning curve and a few predictions.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

import flambeau as fb
from flambeau import nn
from flambeau.data import DataLoader
from flambeau.vision import datasets, models, transforms

try:
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator
except ModuleNotFoundError as error:
    sys.exit(f'lenet.py needs the package {error.name}: pip install "flambeau[examples]"')

Images = datasets.MNIST | datasets.Digits
History = dict[str, list[float]]

RECIPES = {
    "digits": {"epochs": 60, "batch_size": 32, "lr": 5e-3, "shift": 0.5, "mean": 0.305, "std": 0.376},
    "mnist": {"epochs": 15, "batch_size": 32, "lr": 3e-3, "shift": 1.5, "mean": 0.1307, "std": 0.3081},
}


class RandomShift:
    """Random translation of an image by up to ``pixels`` in each direction, with interpolation and zero padding."""

    def __init__(self, pixels: float) -> None:
        self.pixels = pixels

    def __call__(self, image: Image.Image) -> NDArray[np.uint8]:
        pixels = np.asarray(image)
        height, width = pixels.shape
        border = int(self.pixels) + 1
        padded = np.zeros((height + 2 * border, width + 2 * border), dtype=np.float32)
        padded[border:-border, border:-border] = pixels
        (top, down), (left, right) = (divmod(border + self.pixels * (2 * x - 1), 1) for x in fb.rand(2).tolist())
        window = padded[int(top) : int(top) + height + 1, int(left) : int(left) + width + 1]
        window = window[:-1] * (1 - down) + window[1:] * down
        window = window[:, :-1] * (1 - right) + window[:, 1:] * right
        shifted: NDArray[np.uint8] = np.rint(window).astype(np.uint8)
        return shifted


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train LeNet on handwritten digits.")
    parser.add_argument("--data", choices=RECIPES, default="digits", help="default: %(default)s, shipped with flambeau")
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of the MNIST files (default: data)")
    parser.add_argument("--download", action="store_true", help="download the MNIST files if they are missing")
    parser.add_argument("--epochs", type=int, help="number of epochs")
    parser.add_argument("--batch-size", type=int, help="images per step")
    parser.add_argument("--lr", type=float, help="initial learning rate")
    parser.add_argument(
        "--label-smoothing", type=float, default=0.1, help="label smoothing factor (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="device to compute on, such as cuda (default: %(default)s)")
    parser.add_argument(
        "--output", type=Path, help="folder of the checkpoint and the picture (default: runs/lenet-DATA)"
    )
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    parser.add_argument("--onnx", type=Path, metavar="FILE", help="write the model as an ONNX file")
    parser.add_argument("--require-accuracy", type=float, metavar="PERCENT", help="fail if the test accuracy is lower")
    args = parser.parse_args(argv)
    args.output = args.output or Path("runs") / f"lenet-{args.data}"
    for name in ("epochs", "batch_size", "lr"):
        if getattr(args, name) is None:
            setattr(args, name, RECIPES[args.data][name])
    return args


def load_data(args: argparse.Namespace) -> tuple[Images, Images]:
    recipe = RECIPES[args.data]
    to_input: list[Callable[..., Any]] = [
        transforms.ToTensor(),
        transforms.Normalize([recipe["mean"]], [recipe["std"]]),
    ]
    augmented = transforms.Compose([RandomShift(recipe["shift"]), *to_input])
    plain = transforms.Compose(to_input)
    if args.data == "mnist":
        return (
            datasets.MNIST(args.root, train=True, transform=augmented, download=args.download),
            datasets.MNIST(args.root, train=False, transform=plain, download=args.download),
        )
    return datasets.Digits(train=True, transform=augmented), datasets.Digits(train=False, transform=plain)


def train_epoch(
    model: nn.Module, loader: DataLoader, loss_function: nn.Module, optimizer: fb.optim.Optimizer, description: str
) -> float:
    model.train()
    total = 0.0
    progress = tqdm(loader, desc=description, unit="batch", leave=False, disable=None)  # None: only on a terminal
    for images, labels in progress:
        images, labels = images.to(fb.get_default_device()), labels.to(fb.get_default_device())
        optimizer.zero_grad()
        loss = loss_function(model(images), labels)
        loss.backward()
        optimizer.step()
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
def draw(model: nn.Module, test: Images, history: History, path: Path, count: int = 10) -> None:
    """Draw the learning curve and the first predictions."""
    model.eval()
    images, labels = zip(*(test[index] for index in range(count)), strict=True)
    predictions = model(fb.stack(images).to(fb.get_default_device())).argmax(1).tolist()

    figure = Figure(figsize=(10, 5), layout="constrained")
    grid = figure.add_gridspec(2, count, height_ratios=[3, 1])
    epochs = range(1, len(history["loss"]) + 1)
    loss_axis = figure.add_subplot(grid[0, : count // 2], title="training loss", xlabel="epoch")
    loss_axis.plot(epochs, history["loss"], ".-", color="tab:orange")
    accuracy_axis = figure.add_subplot(grid[0, count // 2 :], title="test accuracy, %", xlabel="epoch")
    accuracy_axis.plot(epochs, history["accuracy"], ".-", color="tab:blue")
    for axis in (loss_axis, accuracy_axis):
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
        axis.grid(alpha=0.3)
    for place, (label, prediction) in enumerate(zip(labels, predictions, strict=True)):
        axis = figure.add_subplot(grid[1, place])
        axis.imshow(test.data[place], cmap="gray_r")
        axis.set_title(f"{prediction}", color="tab:green" if prediction == label else "tab:red")
        axis.axis("off")
    figure.supxlabel("predictions on test images, wrong ones red")
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    fb.set_default_device(args.device)
    train, test = load_data(args)
    # The order is drawn from flambeau's default generator, which each epoch seeds.
    train_loader = DataLoader(train, batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(test, batch_size=500)

    fb.manual_seed(args.seed)
    model = models.LeNet(image_size=train.data.shape[-1])
    optimizer = fb.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.1)
    scheduler = fb.optim.lr_scheduler.StepLR(optimizer, step_size=max(1, args.epochs // 4), gamma=0.4)
    loss_function = nn.CrossEntropyLoss(label_smoothing=args.label_smoothing)
    history: History = {"loss": [], "accuracy": []}

    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint = args.output / "checkpoint.safetensors"
    if args.resume:
        state = fb.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        history = state["history"]
        print(f"Resuming after epoch {len(history['loss'])}, from {checkpoint}")

    for epoch in range(len(history["loss"]) + 1, args.epochs + 1):
        fb.manual_seed(1000 * args.seed + epoch)
        description = f"Epoch {epoch:{len(str(args.epochs))}}/{args.epochs}"
        loss = train_epoch(model, train_loader, loss_function, optimizer, description)
        scheduler.step()
        accuracy = evaluate(model, test_loader)
        print(f"{description}  loss {loss:.4f}  test accuracy {accuracy:.2f} %", flush=True)
        history["loss"].append(loss)
        history["accuracy"].append(accuracy)
        state = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "scheduler": scheduler.state_dict()}
        fb.save({**state, "history": history}, checkpoint)

    picture = args.output / "lenet.png"
    draw(model, test, history, picture)
    accuracy = evaluate(model, test_loader)
    print(f"Checkpoint: {checkpoint}, picture: {picture}")
    if args.onnx is not None:
        image = test[0][0].unsqueeze(0).to(args.device)
        fb.onnx.export(model, image, args.onnx, input_names=["image"], dynamic_axes={"image": {0: "batch"}})
        print(f"ONNX: {args.onnx}")
    print(f"Test accuracy: {accuracy:.2f} %")
    if args.require_accuracy is not None and accuracy < args.require_accuracy:
        sys.exit(f"lenet.py: the test accuracy is below the required {args.require_accuracy:.2f} %")


if __name__ == "__main__":
    main()
