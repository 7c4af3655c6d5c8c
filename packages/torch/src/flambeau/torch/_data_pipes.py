"""Names of ``torch.utils.data.datapipes.datapipe``, which loaders import to detect data pipes. flambeau lacks them."""

from typing import Any

from flambeau.torch import _absent, _interface

__all__ = ["IterDataPipe", "MapDataPipe", "_IterDataPipeSerializationWrapper", "_MapDataPipeSerializationWrapper"]


def _absent_class(name: str) -> Any:
    path = "torch.utils.data.datapipes.datapipe"
    return _absent.stand_in(f"{path}.{name}", _interface.Entry("class", path))


IterDataPipe = _absent_class("IterDataPipe")
MapDataPipe = _absent_class("MapDataPipe")
_IterDataPipeSerializationWrapper = _absent_class("_IterDataPipeSerializationWrapper")
_MapDataPipeSerializationWrapper = _absent_class("_MapDataPipeSerializationWrapper")
