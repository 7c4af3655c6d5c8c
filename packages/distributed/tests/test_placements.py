"""Test placements, and that distributed tensors raise errors."""

import pytest

import flambeau as fb
from flambeau.distributed.tensor import DTensor, Replicate, Shard


def test_placement_classes_exist_and_dtensor_is_unsupported():
    assert Shard(1).is_shard(1) and not Shard(1).is_shard(0) and Replicate().is_replicate()
    assert not isinstance(fb.ones(1), DTensor)
    with pytest.raises(NotImplementedError, match="DTensor"):
        DTensor(fb.ones(1))
