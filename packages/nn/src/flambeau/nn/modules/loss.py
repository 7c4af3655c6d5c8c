"""All losses under PyTorch's module name."""

from ._classification_losses import (
    CrossEntropyLoss as CrossEntropyLoss,
)
from ._classification_losses import (
    CTCLoss as CTCLoss,
)
from ._classification_losses import (
    LinearCrossEntropyLoss as LinearCrossEntropyLoss,
)
from ._classification_losses import (
    LinearCrossEntropyOptions as LinearCrossEntropyOptions,
)
from ._classification_losses import (
    MultiLabelMarginLoss as MultiLabelMarginLoss,
)
from ._classification_losses import (
    MultiLabelSoftMarginLoss as MultiLabelSoftMarginLoss,
)
from ._classification_losses import (
    MultiMarginLoss as MultiMarginLoss,
)
from ._classification_losses import (
    NLLLoss as NLLLoss,
)
from ._classification_losses import (
    NLLLoss2d as NLLLoss2d,
)
from ._classification_losses import (
    SoftMarginLoss as SoftMarginLoss,
)
from ._loss import (
    _Loss as _Loss,
)
from ._loss import (
    _WeightedLoss as _WeightedLoss,
)
from ._ranking_losses import (
    CosineEmbeddingLoss as CosineEmbeddingLoss,
)
from ._ranking_losses import (
    HingeEmbeddingLoss as HingeEmbeddingLoss,
)
from ._ranking_losses import (
    MarginRankingLoss as MarginRankingLoss,
)
from ._ranking_losses import (
    TripletMarginLoss as TripletMarginLoss,
)
from ._ranking_losses import (
    TripletMarginWithDistanceLoss as TripletMarginWithDistanceLoss,
)
from ._ranking_losses import (
    _MarginLoss as _MarginLoss,
)
from ._regression_losses import (
    BCELoss as BCELoss,
)
from ._regression_losses import (
    BCEWithLogitsLoss as BCEWithLogitsLoss,
)
from ._regression_losses import (
    GaussianNLLLoss as GaussianNLLLoss,
)
from ._regression_losses import (
    HuberLoss as HuberLoss,
)
from ._regression_losses import (
    KLDivLoss as KLDivLoss,
)
from ._regression_losses import (
    L1Loss as L1Loss,
)
from ._regression_losses import (
    MSELoss as MSELoss,
)
from ._regression_losses import (
    PoissonNLLLoss as PoissonNLLLoss,
)
from ._regression_losses import (
    SmoothL1Loss as SmoothL1Loss,
)
