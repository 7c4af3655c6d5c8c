"""Train a DCGAN on handwritten digits: a generator against a discriminator.

On the UCI digits, which come with flambeau, or on MNIST:

    python dcgan.py
    python dcgan.py --data mnist --root data --download
    python dcgan.py --resume

Each epoch ends with a checkpoint and a picture of digits generated from the same noise, ``epoch-NNN.png``. At the end
``training.gif`` shows these pictures in sequence. ``--judge runs/lenet-mnist/checkpoint.safetensors``, a checkpoint of
lenet.py, classifies the generated digits with LeNet and prints its mean confidence. Train that LeNet with
``--label-smoothing 0``, since label smoothing lowers the confidence.
Source: Radford, Metz and Chintala 2015, arXiv:1511.06434.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

import flambeau as fb
from flambeau import nn
from flambeau.data import DataLoader
from flambeau.vision import datasets, models, transforms, utils

History = dict[str, list[float]]

# "mean" and "std" are those with which lenet.py normalises the images.
RECIPES: dict[str, dict[str, Any]] = {
    "digits": {"size": 8, "image_size": 16, "epochs": 60, "mean": 0.305, "std": 0.376},
    "mnist": {"size": 28, "image_size": 32, "epochs": 20, "mean": 0.1307, "std": 0.3081},
}


def parse_arguments(argv: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a DCGAN that generates digits.")
    parser.add_argument("--data", choices=RECIPES, default="digits", help="default: %(default)s, shipped with flambeau")
    parser.add_argument("--root", type=Path, default=Path("data"), help="folder of the MNIST files (default: data)")
    parser.add_argument("--download", action="store_true", help="download the MNIST files if they are missing")
    parser.add_argument("--epochs", type=int, help="number of epochs")
    parser.add_argument("--features", type=int, default=32, help="channels at the full size (default: %(default)s)")
    parser.add_argument("--latent", type=int, default=64, help="size of the noise vector (default: %(default)s)")
    parser.add_argument("--batch-size", type=int, default=64, help="images per step (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=5e-4, help="learning rate of both networks (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="seed of all random numbers (default: %(default)s)")
    parser.add_argument("--device", default="cpu", help="device to compute on, such as cuda (default: %(default)s)")
    parser.add_argument("--output", type=Path, help="default: runs/dcgan-DATA")
    parser.add_argument("--resume", action="store_true", help="continue from the checkpoint in the output folder")
    parser.add_argument("--judge", type=Path, metavar="CHECKPOINT", help="LeNet that classifies the generated digits")
    args = parser.parse_args(argv)
    args.output = args.output or Path("runs") / f"dcgan-{args.data}"
    args.epochs = RECIPES[args.data]["epochs"] if args.epochs is None else args.epochs
    return args


def load_data(args: argparse.Namespace) -> datasets.MNIST | datasets.Digits:
    """Return digits with values from -1 to 1, enlarged or padded to a power of two."""
    recipe = RECIPES[args.data]
    fit = transforms.Pad(2) if args.data == "mnist" else transforms.Resize(recipe["image_size"])
    transform = transforms.Compose([fit, transforms.ToTensor(), transforms.Normalize([0.5], [0.5])])
    if args.data == "mnist":
        return datasets.MNIST(args.root, train=True, transform=transform, download=args.download)
    return datasets.Digits(train=True, transform=transform)


def train_epoch(
    generator: nn.Module,
    discriminator: nn.Module,
    loader: DataLoader,
    optimizers: Sequence[fb.optim.Optimizer],
    latent: int,
    description: str,
) -> list[float]:
    """Train both networks for one epoch and return the mean loss of each."""
    generator_optimizer, discriminator_optimizer = optimizers
    loss_function = nn.BCELoss()
    generator.train()
    totals = [0.0, 0.0]
    progress = tqdm(loader, desc=description, unit="batch", leave=False, disable=None)
    for real, _ in progress:
        real = real.to(fb.get_default_device())
        ones, zeros = fb.ones(len(real)), fb.zeros(len(real))
        fake = generator(fb.randn(len(real), latent, 1, 1))

        discriminator_optimizer.zero_grad()
        # Label smoothing: the target of real digits is 0.9. An overconfident discriminator gives no useful gradients.
        loss = loss_function(discriminator(real), 0.9 * ones) + loss_function(discriminator(fake.detach()), zeros)
        loss.backward()
        discriminator_optimizer.step()

        generator_optimizer.zero_grad()
        generator_loss = loss_function(discriminator(fake), ones)
        generator_loss.backward()
        generator_optimizer.step()

        totals = [totals[0] + generator_loss.item(), totals[1] + loss.item()]
        progress.set_postfix(generator=f"{generator_loss.item():.2f}", refresh=False)
    return [total / len(loader) for total in totals]


@fb.no_grad()
def judge(generator: nn.Module, path: Path, data: str, latent: int, count: int = 500) -> tuple[float, int]:
    """Classify samples with LeNet; return its mean confidence and the number of different digits."""
    recipe = RECIPES[data]
    lenet = models.LeNet(image_size=recipe["size"])
    lenet.load_state_dict(fb.load(path)["model"])
    lenet.eval()
    generator.eval()
    images = (generator(fb.randn(count, latent, 1, 1)) + 1) / 2
    border = (recipe["image_size"] - recipe["size"]) // 2
    if data == "mnist":
        images = images[:, :, border:-border, border:-border]
    else:
        images = nn.functional.avg_pool2d(images, recipe["image_size"] // recipe["size"])
    probabilities = lenet((images - recipe["mean"]) / recipe["std"]).softmax(1)
    return probabilities.max(1).values.mean().item(), len(probabilities.argmax(1).unique())


def write_gif(folder: Path, epochs: int) -> None:
    frames = [Image.open(folder / f"epoch-{epoch:03d}.png") for epoch in range(1, epochs + 1)]
    durations = [200] * (epochs - 1) + [2000]  # milliseconds; the last picture is shown longer
    frames[0].save(folder / "training.gif", save_all=True, append_images=frames[1:], duration=durations, loop=0)


def main(argv: Sequence[str] | None = None) -> None:
    args = parse_arguments(argv)
    fb.set_default_device(args.device)
    image_size = RECIPES[args.data]["image_size"]
    loader = DataLoader(load_data(args), batch_size=args.batch_size, shuffle=True, drop_last=True)

    fb.manual_seed(args.seed)
    generator = models.DCGANGenerator(args.latent, args.features, channels=1, image_size=image_size)
    discriminator = models.DCGANDiscriminator(args.features, channels=1, image_size=image_size)
    optimizers = [fb.optim.Adam(m.parameters(), lr=args.lr, betas=(0.5, 0.999)) for m in (generator, discriminator)]
    noise = fb.randn(64, args.latent, 1, 1)
    history: History = {"generator": [], "discriminator": []}
    args.output.mkdir(parents=True, exist_ok=True)
    checkpoint = args.output / "checkpoint.safetensors"
    if args.resume:
        state = fb.load(checkpoint)
        generator.load_state_dict(state["generator"])
        discriminator.load_state_dict(state["discriminator"])
        for optimizer, saved in zip(optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        noise, history = state["noise"], state["history"]
        print(f"Resuming after epoch {len(history['generator'])}, from {checkpoint}")

    for epoch in range(len(history["generator"]) + 1, args.epochs + 1):
        fb.manual_seed(1000 * args.seed + epoch)
        description = f"Epoch {epoch:{len(str(args.epochs))}}/{args.epochs}"
        losses = train_epoch(generator, discriminator, loader, optimizers, args.latent, description)
        for name, loss in zip(history, losses, strict=True):
            history[name].append(loss)
        print(f"{description}  loss: generator {losses[0]:.3f}, discriminator {losses[1]:.3f}", flush=True)
        with fb.no_grad():
            generator.eval()
            utils.save_image(
                generator(noise), args.output / f"epoch-{epoch:03d}.png", normalize=True, value_range=(-1, 1)
            )
        state = {
            "generator": generator.state_dict(),
            "discriminator": discriminator.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in optimizers],
        }
        fb.save({**state, "noise": noise, "history": history}, checkpoint)

    write_gif(args.output, args.epochs)
    print(f"Checkpoint and pictures: {args.output}")
    if args.judge:
        fb.manual_seed(args.seed)
        confidence, kinds = judge(generator, args.judge, args.data, args.latent)
        print(f"Mean confidence of LeNet: {confidence:.3f}; number of different digits: {kinds}")


if __name__ == "__main__":
    main()
