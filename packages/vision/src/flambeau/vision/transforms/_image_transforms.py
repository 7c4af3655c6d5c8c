"""The transforms of single images. ``transforms`` exports these classes; ``transforms.v2`` adapts them to samples."""

from ._blur import GaussianBlur as GaussianBlur, RandomAdjustSharpness as RandomAdjustSharpness
from ._colour import ColorJitter as ColorJitter, Grayscale as Grayscale, RandomGrayscale as RandomGrayscale
from ._conversion import ConvertImageDtype as ConvertImageDtype
from ._crop import (
    CenterCrop as CenterCrop,
    FiveCrop as FiveCrop,
    RandomCrop as RandomCrop,
    RandomResizedCrop as RandomResizedCrop,
    TenCrop as TenCrop,
)
from ._erase import RandomErasing as RandomErasing
from ._flip import RandomHorizontalFlip as RandomHorizontalFlip, RandomVerticalFlip as RandomVerticalFlip
from ._geometry import (
    ElasticTransform as ElasticTransform,
    RandomAffine as RandomAffine,
    RandomPerspective as RandomPerspective,
    RandomRotation as RandomRotation,
)
from ._normalization import LinearTransformation as LinearTransformation, Normalize as Normalize
from ._pad import Pad as Pad
from ._resize import Resize as Resize
from ._tone import (
    RandomAutocontrast as RandomAutocontrast,
    RandomEqualize as RandomEqualize,
    RandomInvert as RandomInvert,
    RandomPosterize as RandomPosterize,
    RandomSolarize as RandomSolarize,
)
from .autoaugment import (
    AugMix as AugMix,
    AutoAugment as AutoAugment,
    RandAugment as RandAugment,
    TrivialAugmentWide as TrivialAugmentWide,
)
