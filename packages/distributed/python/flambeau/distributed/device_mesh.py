"""Device meshes: processes in a multidimensional array."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import flambeau
from flambeau import Tensor

from .groups import GroupMember, ProcessGroup, get_rank, get_world_size, init_process_group, is_initialized, new_group

__all__ = ["DeviceMesh", "init_device_mesh"]


class DeviceMesh:
    """Array of ranks with named dimensions, and this process's group along each dimension.

    Args:
        device_type: ``"cpu"`` or ``"cuda"``: device of the tensors.
        mesh: the ranks as a tensor or nested lists, the same in all processes. All processes must create the mesh.
        mesh_dim_names: names of the dimensions.

    >>> from flambeau import distributed
    >>> from flambeau.distributed.device_mesh import DeviceMesh
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> mesh = DeviceMesh("cpu", [[0]], mesh_dim_names=("dp", "tp"))
    >>> mesh.shape, mesh.get_coordinate()
    ((1, 1), [0, 0])
    >>> distributed.destroy_process_group()
    """

    def __init__(
        self,
        device_type: str,
        mesh: Tensor | Sequence[Any],
        *,
        mesh_dim_names: Sequence[str] | None = None,
        _groups: list[ProcessGroup] | None = None,
    ) -> None:
        self.device_type = device_type
        self.mesh = flambeau.as_tensor(mesh, dtype=flambeau.int32, device="cpu")
        self.mesh_dim_names = None if mesh_dim_names is None else tuple(mesh_dim_names)
        if self.mesh_dim_names is not None and len(self.mesh_dim_names) != self.mesh.ndim:
            raise RuntimeError(
                f"a mesh of {self.mesh.ndim} dimensions needs {self.mesh.ndim} names, got {self.mesh_dim_names}"
            )
        if not is_initialized():
            init_process_group()
        here = (self.mesh == get_rank()).nonzero().tolist()
        self._coordinate: list[int] | None = here[0] if here else None
        self._groups = self._made_groups() if _groups is None else _groups

    def _made_groups(self) -> list[ProcessGroup]:
        """Create the groups along each dimension and return the groups of this process."""
        joined = []
        for dim in range(self.mesh.ndim):
            lines = self.mesh.movedim(dim, -1).reshape(-1, self.mesh.shape[dim]).tolist()
            groups = [new_group(ranks) for ranks in lines]
            joined += [each for each in groups if each is not GroupMember.NON_GROUP_MEMBER]
        return joined

    def _dim(self, mesh_dim: int | str) -> int:
        if isinstance(mesh_dim, int):
            return mesh_dim
        if self.mesh_dim_names is None or mesh_dim not in self.mesh_dim_names:
            raise KeyError(
                f"the mesh has no dimension {mesh_dim!r}; its dimensions have the names {self.mesh_dim_names}"
            )
        return self.mesh_dim_names.index(mesh_dim)

    @property
    def ndim(self) -> int:
        """Number of dimensions."""
        return self.mesh.ndim

    @property
    def shape(self) -> tuple[int, ...]:
        """Sizes of the dimensions."""
        return tuple(self.mesh.shape)

    def size(self, mesh_dim: int | None = None) -> int:
        """Return the number of processes, in total or along a dimension."""
        return self.mesh.numel() if mesh_dim is None else self.mesh.shape[mesh_dim]

    def get_coordinate(self) -> list[int] | None:
        """Return the coordinates of this process; None if it is outside the mesh."""
        return self._coordinate

    def get_rank(self) -> int:
        """Return this process's global rank."""
        return get_rank()

    def get_local_rank(self, mesh_dim: int | str | None = None) -> int:
        """Return this process's coordinate along a dimension, which is optional for a one-dimensional mesh."""
        group = self.get_group(mesh_dim)
        return group.rank()

    def get_group(self, mesh_dim: int | str | None = None) -> ProcessGroup:
        """Return this process's group along a dimension."""
        if mesh_dim is None and self.ndim > 1:
            raise RuntimeError(f"a mesh of {self.ndim} dimensions has as many groups: select one with mesh_dim=")
        if self._coordinate is None:
            raise RuntimeError(f"rank {get_rank()} does not belong to the mesh of the ranks {self.mesh.tolist()}")
        return self._groups[self._dim(0 if mesh_dim is None else mesh_dim)]

    def get_all_groups(self) -> list[ProcessGroup]:
        """Return this process's groups along all dimensions."""
        return [self.get_group(dim) for dim in range(self.ndim)]

    def __getitem__(self, mesh_dim_names: str | tuple[str, ...]) -> DeviceMesh:
        """Return the submesh along the named dimensions that contains this process."""
        names = (mesh_dim_names,) if isinstance(mesh_dim_names, str) else mesh_dim_names
        dims = [self._dim(name) for name in names]
        groups = [self.get_group(dim) for dim in dims]
        assert self._coordinate is not None  # otherwise get_group raises an error
        where = tuple(slice(None) if dim in dims else at for dim, at in enumerate(self._coordinate))
        remaining = sorted(dims)
        ranks = self.mesh[where].permute([remaining.index(dim) for dim in dims])
        return DeviceMesh(self.device_type, ranks, mesh_dim_names=names, _groups=groups)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, DeviceMesh) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())

    def _key(self) -> tuple[Any, ...]:
        return self.device_type, self.shape, tuple(self.mesh.flatten().tolist()), self.mesh_dim_names

    def __repr__(self) -> str:
        names = "" if self.mesh_dim_names is None else f", mesh_dim_names={self.mesh_dim_names}"
        return f"DeviceMesh({self.device_type!r}, {self.mesh.tolist()}{names})"


def init_device_mesh(
    device_type: str, mesh_shape: tuple[int, ...], *, mesh_dim_names: tuple[str, ...] | None = None
) -> DeviceMesh:
    """Create a mesh of all processes in rank order.

    Raises: RuntimeError if the size of the mesh differs from the number of processes.

    >>> from flambeau import distributed
    >>> distributed.init_process_group(store=distributed.HashStore(), rank=0, world_size=1)
    >>> mesh = distributed.device_mesh.init_device_mesh("cpu", (1, 1), mesh_dim_names=("dp", "tp"))
    >>> mesh, mesh["tp"].get_local_rank()
    (DeviceMesh('cpu', [[0]], mesh_dim_names=('dp', 'tp')), 0)
    >>> distributed.destroy_process_group()
    """
    if not is_initialized():
        init_process_group()
    if math.prod(mesh_shape) != get_world_size():
        size = math.prod(mesh_shape)
        raise RuntimeError(f"a mesh of shape {list(mesh_shape)} needs {size} processes, got {get_world_size()}")
    ranks = flambeau.arange(get_world_size()).reshape(mesh_shape)
    return DeviceMesh(device_type, ranks, mesh_dim_names=mesh_dim_names)
