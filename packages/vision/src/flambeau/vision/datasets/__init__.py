"""Image datasets. A sample is ``(image, label)``: a PIL image and an int, each through its transform."""

from .cifar import CIFAR10, CIFAR100
from .digits import Digits
from .emnist import EMNIST
from .fakedata import FakeData
from .folder import DatasetFolder, ImageFolder
from .mnist import KMNIST, MNIST, FashionMNIST
from .qmnist import QMNIST
from .vision import VisionDataset

__all__ = [
    "MNIST",
    "FashionMNIST",
    "KMNIST",
    "EMNIST",
    "QMNIST",
    "CIFAR10",
    "CIFAR100",
    "Digits",
    "FakeData",
    "DatasetFolder",
    "ImageFolder",
    "VisionDataset",
]
