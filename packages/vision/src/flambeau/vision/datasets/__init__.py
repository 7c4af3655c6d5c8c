"""Image datasets. A sample is ``(image, label)``: a PIL image and an int, after the transforms.

In the examples, ``data`` is a folder with small files in the published layout. With ``download=True``, a dataset
downloads the files that are missing.
"""

import importlib
from typing import TYPE_CHECKING, Any

from flambeau import _public_names, _suggestions

from .caltech import Caltech101, Caltech256
from .celeba import CelebA
from .cifar import CIFAR10, CIFAR100
from .cityscapes import Cityscapes
from .clevr import CLEVRClassification
from .coco import CocoCaptions, CocoDetection
from .country211 import Country211
from .digits import Digits
from .dtd import DTD
from .emnist import EMNIST
from .eurosat import EuroSAT
from .fakedata import FakeData
from .fer2013 import FER2013
from .fgvc_aircraft import FGVCAircraft
from .flickr import Flickr8k, Flickr30k
from .flowers102 import Flowers102
from .folder import DatasetFolder, ImageFolder
from .food101 import Food101
from .gtsrb import GTSRB
from .imagenet import ImageNet
from .imagenette import Imagenette
from .kitti import Kitti
from .lfw import LFWPairs, LFWPeople
from .mnist import KMNIST, MNIST, FashionMNIST
from .moving_mnist import MovingMNIST
from .omniglot import Omniglot
from .oxford_iiit_pet import OxfordIIITPet
from .pcam import PCAM
from .places365 import Places365
from .qmnist import QMNIST
from .rendered_sst2 import RenderedSST2
from .sbd import SBDataset
from .semeion import SEMEION
from .stanford_cars import StanfordCars
from .stl10 import STL10
from .sun397 import SUN397
from .svhn import SVHN
from .usps import USPS
from .vision import VisionDataset
from .voc import VOCDetection, VOCSegmentation
from .widerface import WIDERFace

if TYPE_CHECKING:
    from flambeau.vision.tv_tensors._dataset_wrapper import wrap_dataset_for_transforms_v2

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
    "SVHN",
    "STL10",
    "USPS",
    "SEMEION",
    "ImageNet",
    "VOCDetection",
    "VOCSegmentation",
    "CocoDetection",
    "CocoCaptions",
    "Flowers102",
    "OxfordIIITPet",
    "Food101",
    "Caltech101",
    "Caltech256",
    "CelebA",
    "DTD",
    "StanfordCars",
    "FGVCAircraft",
    "GTSRB",
    "EuroSAT",
    "Country211",
    "PCAM",
    "SUN397",
    "RenderedSST2",
    "Places365",
    "Omniglot",
    "LFWPeople",
    "LFWPairs",
    "Cityscapes",
    "SBDataset",
    "Kitti",
    "Imagenette",
    "MovingMNIST",
    "WIDERFace",
    "CLEVRClassification",
    "FER2013",
    "Flickr8k",
    "Flickr30k",
    "wrap_dataset_for_transforms_v2",
]


if not TYPE_CHECKING:  # a type checker that sees __getattr__ does not report names that do not exist

    def __getattr__(name: str) -> Any:
        if name == "wrap_dataset_for_transforms_v2":  # imported at first use, because it imports tv_tensors
            return importlib.import_module("flambeau.vision.tv_tensors._dataset_wrapper").wrap_dataset_for_transforms_v2
        raise _suggestions.unknown_attribute(__name__, name)


def __dir__() -> list[str]:
    return _public_names.public_names(globals(), __all__)
