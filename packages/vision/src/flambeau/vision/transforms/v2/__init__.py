"""Transforms of samples, by the names of torchvision's second interface.

They are the other transforms, which take, beside one image, any number of arguments and any structure of tuples, lists
and dictionaries: the images in it are transformed, all with the same random draws, and labels and texts are passed
through. Boxes, masks and points have no kinds of their own here: a mask is transformed as an image, boxes are not.

>>> import flambeau
>>> transform = Compose([ToImage(), RandomHorizontalFlip(p=1), ToDtype(flambeau.float32, scale=True)])
>>> image, label = transform(flambeau.tensor([[[0, 255]]], dtype=flambeau.uint8), 3)
>>> image.tolist(), label
([[[1.0, 0.0]]], 3)
"""

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
)
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
CenterCrop = for_samples(images.CenterCrop)
FiveCrop = for_samples(images.FiveCrop)
RandomCrop = for_samples(images.RandomCrop)
RandomResizedCrop = for_samples(images.RandomResizedCrop)
TenCrop = for_samples(images.TenCrop)
RandomErasing = for_samples(images.RandomErasing)
RandomHorizontalFlip = for_samples(images.RandomHorizontalFlip)
RandomVerticalFlip = for_samples(images.RandomVerticalFlip)
ElasticTransform = for_samples(images.ElasticTransform)
RandomAffine = for_samples(images.RandomAffine)
RandomPerspective = for_samples(images.RandomPerspective)
RandomRotation = for_samples(images.RandomRotation)
LinearTransformation = for_samples(images.LinearTransformation)
Normalize = for_samples(images.Normalize)
Pad = for_samples(images.Pad)
Resize = for_samples(images.Resize)
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
    "ColorJitter",
    "Compose",
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
