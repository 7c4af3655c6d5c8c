"""Train LeNet on small digits, and write the model and five test images for classify.cpp."""

import argparse
from pathlib import Path

import flambeau as fb
from flambeau import nn, optim
from flambeau.data import DataLoader
from flambeau.vision import datasets, models, transforms


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=Path("deployment"), help="folder for the model and the images")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()
    arguments.output.mkdir(parents=True, exist_ok=True)

    fb.manual_seed(0)
    digits = datasets.Digits(train=True, transform=transforms.ToTensor())
    model = models.LeNet(image_size=8)
    optimizer = optim.Adam(model.parameters(), lr=3e-3)
    for epoch in range(arguments.epochs):
        total = 0.0
        for images, labels in DataLoader(digits, batch_size=64, shuffle=True):
            loss = nn.functional.cross_entropy(model(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item() * len(labels)
        print(f"epoch {epoch + 1}: loss {total / len(digits):.3f}")

    model.eval()
    program = fb.jit.trace(model, digits[0][0].unsqueeze(0))
    print(program.code)
    program.save(arguments.output / "digits.model")
    for i, (image, label) in enumerate(digits[i] for i in range(5)):
        rows = "\n".join(" ".join(f"{value:.4f}" for value in row) for row in image[0].tolist())
        (arguments.output / f"image{i}-a-{label}.txt").write_text(rows)


if __name__ == "__main__":
    main()
