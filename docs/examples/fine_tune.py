"""Fine-tune a network that was trained with PyTorch on other images.

    python fine_tune.py --weights resnet18.pth                        # on the digits that come with flambeau
    python fine_tune.py --weights resnet18.pth --data cifar10 --root data
    python fine_tune.py --weights resnet18.pth --data folder --root photographs    # train/CLASS and test/CLASS in it

``--weights`` is a file with a ``state_dict`` of torchvision's ResNet-18, saved by PyTorch, for any number of classes.
First only a new last layer is trained, then the whole network with a lower learning rate. Each epoch ends with a
checkpoint. The folder ``--output`` also contains ``model.pth``, the result, which PyTorch can load, and
``predictions.png``.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

import flambeau as fb
from flambeau import nn
from flambeau.data import DataLoader
from flambeau.vision import datasets, models, transforms

try:
    from matplotlib.figure import Figure
except ModuleNotFoundError as error:
    sys.exit(f'fine_tune.py needs the package {error.name}: pip install "flambeau[examples]"')

Images = datasets.Digits | datasets.CIFAR10 | datasets.ImageFolder
History = dict[str, list[float]]

# Mean and standard deviation of the images on which torchvision's networks are trained.
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Fine-tune a ResNet-18 that PyTorch has trained.")
    parser.add_argument("--weights", type=Path, help="torchvision's .pth file of resnet18 (default: random weights)")
    parser.add_argument(
        "--data", choices=["digits", "cifar10", "folder"], default="digits", help="default: %(default)s"
    )
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of the images (default: data)")
    parser.add_argument("--size", type=int, default=32, help="size of the resized images (default: %(default)s)")
    parser.add_argument("--head-epochs", type=int, default=2, help="epochs for the last layer (default: %(default)s)")
    parser.add_argument("--epochs", type=int, default=3, help="epochs for all layers (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=32, help="images per step (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate; 10 times higher in the last layer")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--output", type=Path, default=Path("runs/fine-tune"), help="default: %(default)s")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    return parser.parse_args(argv)


def load_data(args: argparse.Namespace) -> list[Images]:
    transform = transforms.Compose(
        [
            transforms.Grayscale(3) if args.data == "digits" else transforms.Lambda(lambda image: image),
            transforms.Resize((args.size, args.size)),
            transforms.ToTensor(),
            transforms.Normalize(MEAN, STD),
        ]
    )
    if args.data == "digits":
        return [datasets.Digits(train=train, transform=transform) for train in (True, False)]
    if args.data == "cifar10":
        return [datasets.CIFAR10(args.root, train=train, transform=transform) for train in (True, False)]
    return [datasets.ImageFolder(args.root / part, transform=transform) for part in ("train", "test")]


def load_weights(model: nn.Module, path: Path) -> None:
    """Load the tensors of a PyTorch file that have the same name and shape in the model.

    The last layer stays random if the number of classes differs.
    """
    weights = fb.load(path)
    own = model.state_dict()
    fitting = {name: value for name, value in weights.items() if name in own and value.shape == own[name].shape}
    missing = [name for name in own if name not in fitting]
    if not set(missing) <= {"fc.weight", "fc.bias"}:
        raise SystemExit(f"fine_tune.py: {path} is not a resnet18: it has no matching {', '.join(missing[:3])}, ...")
    model.load_state_dict(fitting, strict=False)
    print(f"{len(fitting)} of {len(own)} tensors from {path}; random: {', '.join(missing) or 'none'}")


def train_epoch(model: models.ResNet, loader: DataLoader, optimizer: fb.optim.Optimizer, description: str) -> float:
    # While only the last layer is trained, batch normalisation keeps its running statistics.
    model.train(next(model.conv1.parameters()).requires_grad)
    total = 0.0
    progress = tqdm(loader, desc=description, unit="batch", leave=False, disable=None)
    for images, labels in progress:
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(labels)
        progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
    return total / len(loader.dataset)


@fb.no_grad()
def evaluate(model: nn.Module, loader: DataLoader) -> float:
    """Return the accuracy on the images, in percent."""
    model.eval()
    correct: float = sum((model(images).argmax(1) == labels).sum().item() for images, labels in loader)
    return 100 * correct / len(loader.dataset)


@fb.no_grad()
def draw(model: nn.Module, test: Images, path: Path, count: int = 10) -> None:
    model.eval()
    images, labels = zip(*(test[index * len(test) // count] for index in range(count)), strict=True)
    predictions: list[int] = model(fb.stack(images)).argmax(1).tolist()
    figure = Figure(figsize=(10, 1.6), layout="constrained")
    for place, (image, label, prediction) in enumerate(zip(images, labels, predictions, strict=True)):
        axis = figure.add_subplot(1, count, place + 1)
        axis.imshow(
            (image * fb.tensor(STD)[:, None, None] + fb.tensor(MEAN)[:, None, None]).clamp(0, 1).permute(1, 2, 0)
        )
        axis.set_title(test.classes[prediction], color="tab:green" if prediction == label else "tab:red", fontsize=8)
        axis.axis("off")
    figure.savefig(path, dpi=120)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    train, test = load_data(args)
    train_loader = DataLoader(train, batch_size=args.batch_size, shuffle=True)
    test_loader = DataLoader(test, batch_size=250)

    fb.manual_seed(args.seed)
    model = models.resnet18(num_classes=len(train.classes))
    if args.weights and not args.resume:
        load_weights(model, args.weights)
    body = [p for name, p in model.named_parameters() if not name.startswith("fc.")]
    groups = [{"params": body, "lr": args.lr}, {"params": model.fc.parameters(), "lr": 10 * args.lr}]
    optimizer = fb.optim.AdamW(groups, weight_decay=1e-2)
    history: History = {"loss": [], "accuracy": []}
    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint = args.output / "checkpoint.safetensors"
    if args.resume:
        state = fb.load(checkpoint)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        history = state["history"]
        print(f"Resuming after epoch {len(history['loss'])}, from {checkpoint}")

    for epoch in range(len(history["loss"]) + 1, args.head_epochs + args.epochs + 1):
        fb.manual_seed(1000 * args.seed + epoch)
        only_head = epoch <= args.head_epochs
        for parameter in body:
            parameter.requires_grad_(not only_head)
        description = f"Epoch {epoch}/{args.head_epochs + args.epochs}, {'last layer' if only_head else 'all layers'}"
        history["loss"].append(train_epoch(model, train_loader, optimizer, description))
        history["accuracy"].append(evaluate(model, test_loader))
        print(
            f"{description}  loss {history['loss'][-1]:.4f}  test accuracy {history['accuracy'][-1]:.2f} %", flush=True
        )
        fb.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}, checkpoint)

    fb.save(model.state_dict(), args.output / "model.pth")
    draw(model, test, args.output / "predictions.png")
    print(f"Test accuracy: {history['accuracy'][-1]:.2f} %")


if __name__ == "__main__":
    main()
