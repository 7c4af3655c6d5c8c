"""Transfer learning: train torchvision's ResNet on folders of images, then freeze it and train a new last layer."""

import copy
import os
from tempfile import TemporaryDirectory

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
import torchvision
from PIL import Image
from torch.optim import lr_scheduler
from torchvision import datasets, models, transforms

torch.manual_seed(0)
rng = np.random.default_rng(0)


def draw(kind):
    """Draw a 40x40 image with a bar, a disc or a cross at a random position."""
    y, x = np.mgrid[:40, :40] - rng.integers(14, 26, size=(2, 1, 1))
    shape = {
        "bars": abs(y) < 4,
        "discs": x**2 + y**2 < 100,
        "crosses": abs(abs(x) - abs(y)) < 4,
        "frames": np.maximum(abs(x), abs(y)) // 4 == 2,
    }[kind]
    picture = rng.integers(0, 90, (40, 40, 3)) + shape[..., None] * rng.integers(100, 160, 3)
    return Image.fromarray(picture.astype(np.uint8))


def write(root, kinds, counts):
    for phase, count in counts.items():
        for kind in kinds:
            os.makedirs(os.path.join(root, phase, kind))
            for i in range(count):
                draw(kind).save(os.path.join(root, phase, kind, f"{i}.png"))


normalize = transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
data_transforms = {
    "train": transforms.Compose(
        [
            transforms.RandomResizedCrop(32, (0.8, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.ToTensor(),
            normalize,
        ]
    ),
    "val": transforms.Compose([transforms.Resize(36), transforms.CenterCrop(32), transforms.ToTensor(), normalize]),
}


def train_model(root, model, optimizer, scheduler, num_epochs):
    image_datasets = {x: datasets.ImageFolder(os.path.join(root, x), data_transforms[x]) for x in ("train", "val")}
    dataloaders = {
        x: torch.utils.data.DataLoader(image_datasets[x], batch_size=8, shuffle=True) for x in ("train", "val")
    }
    criterion, best_acc, best = nn.CrossEntropyLoss(), 0.0, None
    for epoch in range(num_epochs):
        for phase in ["train", "val"]:
            model.train() if phase == "train" else model.eval()
            running_loss, running_corrects = 0.0, 0
            for inputs, labels in dataloaders[phase]:
                optimizer.zero_grad()
                with torch.set_grad_enabled(phase == "train"):
                    outputs = model(inputs)
                    _, preds = torch.max(outputs, 1)
                    loss = criterion(outputs, labels)
                    if phase == "train":
                        loss.backward()
                        optimizer.step()
                running_loss += loss.item() * inputs.size(0)
                running_corrects += torch.sum(preds == labels.data)
            if phase == "train":
                scheduler.step()
            size = len(image_datasets[phase])
            epoch_acc = running_corrects.double() / size
            print(f"{epoch} {phase} Loss: {running_loss / size:.4f} Acc: {epoch_acc:.4f}")
            if phase == "val" and epoch_acc >= best_acc:
                best_acc, best = epoch_acc, copy.deepcopy(model.state_dict())
    model.load_state_dict(best)
    return model, best_acc.item()


with TemporaryDirectory() as folder:
    write(os.path.join(folder, "first"), ["bars", "discs", "crosses"], {"train": 16, "val": 8})
    write(os.path.join(folder, "second"), ["frames", "discs"], {"train": 12, "val": 8})

    model = models.resnet18(weights=None, num_classes=3)
    optimizer = optim.Adam(model.parameters(), lr=5e-4)
    model, first = train_model(
        os.path.join(folder, "first"), model, optimizer, lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5), 3
    )

    for param in model.parameters():
        param.requires_grad = False
    model.fc = nn.Linear(model.fc.in_features, 2)
    before = model.layer1[0].conv1.weight.clone()
    optimizer = optim.SGD(model.fc.parameters(), lr=0.02, momentum=0.9)
    model, second = train_model(
        os.path.join(folder, "second"), model, optimizer, lr_scheduler.StepLR(optimizer, step_size=3, gamma=0.3), 4
    )
    grid = torchvision.utils.make_grid(torch.stack([transforms.ToTensor()(draw("discs")) for _ in range(4)]), nrow=2)
print(f"torchvision {torchvision.__version__}: accuracy {first:.3f}, transferred {second:.3f}")
assert torch.equal(before, model.layer1[0].conv1.weight) and model.fc.weight.requires_grad
assert grid.shape == (3, 86, 86) and first > 0.6 and second > 0.7
