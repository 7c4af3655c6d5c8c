"""Transforms of samples, by the names of torchvision's second interface.

They are the other transforms, which take, beside one image, any number of arguments and any structure of tuples, lists
and dictionaries: the images in it are transformed, all with the same random draws, and labels and texts are passed
through. Of ``tv_tensors`` in it, boxes and masks are transformed together with their image.

>>> import flambeau
>>> transform = Compose([ToImage(), RandomHorizontalFlip(p=1), ToDtype(flambeau.float32, scale=True)])
>>> image, label = transform(flambeau.tensor([[[0, 255]]], dtype=flambeau.uint8), 3)
>>> image.tolist(), label
([[[1.0, 0.0]]], 3)
"""

from flambeau import _suggestions

from ... import transforms as images
from .._augmentation_policies import AutoAugmentPolicy
from .._composition import Compose, RandomApply, RandomChoice, RandomOrder
from .._interpolation import InterpolationMode
from . import functional
from ._augmentation import (
    CutMix,
    GaussianNoise,
    MixUp,
    RandomChannelPermutation,
    RandomPhotometricDistort,
    RandomResize,
    RandomShortestSize,
    RandomZoomOut,
    ScaleJitter,
)
from ._boxes import ClampBoundingBoxes, ConvertBoundingBoxFormat, RandomIoUCrop, SanitizeBoundingBoxes
from ._conversion import RGB, Identity, ToDtype, ToImage, ToPureTensor
from ._transform import Lambda, Transform, for_samples

GaussianBlur = for_samples(images.GaussianBlur)
RandomAdjustSharpness = for_samples(images.RandomAdjustSharpness)
ColorJitter = for_samples(images.ColorJitter)
Grayscale = for_samples(images.Grayscale)
RandomGrayscale = for_samples(images.RandomGrayscale)
ConvertImageDtype = for_samples(images.ConvertImageDtype)
PILToTensor = for_samples(images.PILToTensor)
ToPILImage = for_samples(images.ToPILImage)
ToTensor = for_samples(images.ToTensor)
CenterCrop = for_samples(images.CenterCrop, maps_plane=True)
FiveCrop = for_samples(images.FiveCrop, maps_plane=True)
RandomCrop = for_samples(images.RandomCrop, maps_plane=True)
RandomResizedCrop = for_samples(images.RandomResizedCrop, maps_plane=True)
TenCrop = for_samples(images.TenCrop, maps_plane=True)
RandomErasing = for_samples(images.RandomErasing)
RandomHorizontalFlip = for_samples(images.RandomHorizontalFlip, maps_plane=True)
RandomVerticalFlip = for_samples(images.RandomVerticalFlip, maps_plane=True)
ElasticTransform = for_samples(images.ElasticTransform, maps_plane=True)
RandomAffine = for_samples(images.RandomAffine, maps_plane=True)
RandomPerspective = for_samples(images.RandomPerspective, maps_plane=True)
RandomRotation = for_samples(images.RandomRotation, maps_plane=True)
LinearTransformation = for_samples(images.LinearTransformation)
Normalize = for_samples(images.Normalize)
Pad = for_samples(images.Pad, maps_plane=True)
Resize = for_samples(images.Resize, maps_plane=True)
RandomAutocontrast = for_samples(images.RandomAutocontrast)
RandomEqualize = for_samples(images.RandomEqualize)
RandomInvert = for_samples(images.RandomInvert)
RandomPosterize = for_samples(images.RandomPosterize)
RandomSolarize = for_samples(images.RandomSolarize)
AugMix = for_samples(images.AugMix)
AutoAugment = for_samples(images.AutoAugment)
RandAugment = for_samples(images.RandAugment)
TrivialAugmentWide = for_samples(images.TrivialAugmentWide)

__all__ = [
    "AugMix",
    "AutoAugment",
    "AutoAugmentPolicy",
    "CenterCrop",
    "ClampBoundingBoxes",
    "ColorJitter",
    "Compose",
    "ConvertBoundingBoxFormat",
    "ConvertImageDtype",
    "CutMix",
    "ElasticTransform",
    "FiveCrop",
    "GaussianBlur",
    "GaussianNoise",
    "Grayscale",
    "Identity",
    "InterpolationMode",
    "Lambda",
    "LinearTransformation",
    "MixUp",
    "Normalize",
    "PILToTensor",
    "Pad",
    "RGB",
    "RandAugment",
    "RandomAdjustSharpness",
    "RandomAffine",
    "RandomApply",
    "RandomAutocontrast",
    "RandomChannelPermutation",
    "RandomChoice",
    "RandomCrop",
    "RandomEqualize",
    "RandomErasing",
    "RandomGrayscale",
    "RandomHorizontalFlip",
    "RandomIoUCrop",
    "RandomInvert",
    "RandomOrder",
    "RandomPerspective",
    "RandomPhotometricDistort",
    "RandomPosterize",
    "RandomResize",
    "RandomResizedCrop",
    "RandomRotation",
    "RandomShortestSize",
    "RandomSolarize",
    "RandomVerticalFlip",
    "RandomZoomOut",
    "Resize",
    "SanitizeBoundingBoxes",
    "ScaleJitter",
    "TenCrop",
    "ToDtype",
    "ToImage",
    "ToPILImage",
    "ToPureTensor",
    "ToTensor",
    "Transform",
    "TrivialAugmentWide",
    "functional",
]

_suggestions.suggest_names(__name__)
