"""Shape and offset of the shard of a distributed tensor that a process holds."""

from __future__ import annotations

from collections.abc import Sequence

from flambeau.distributed.device_mesh import DeviceMesh

from .placement_types import Placement, Shard, _StridedShard

__all__ = ["compute_local_shape_and_global_offset"]


def compute_local_shape_and_global_offset(
    global_shape: Sequence[int], mesh: DeviceMesh, placements: Sequence[Placement]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the shape of this process's shard and its offset in the tensor. Outside the mesh, both are empty."""
    coordinate = mesh.get_coordinate()
    if coordinate is None:
        return (), ()
    shape, offset = list(global_shape), [0] * len(global_shape)
    for dim, placement in enumerate(placements):
        if isinstance(placement, _StridedShard):
            raise NotImplementedError(
                "_StridedShard is not supported: its shards consist of several blocks and have no single offset"
            )
        if isinstance(placement, Shard):
            along = placement.dim
            size, begin = Shard.local_shard_size_and_offset(shape[along], mesh.size(dim), coordinate[dim])
            shape[along], offset[along] = size, offset[along] + begin
    return tuple(shape), tuple(offset)
