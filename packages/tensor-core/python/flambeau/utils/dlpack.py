"""Memory sharing with other libraries through the DLPack protocol."""

from __future__ import annotations

import enum

from flambeau._core import from_dlpack, to_dlpack

__all__ = ["DLDeviceType", "from_dlpack", "to_dlpack"]


class DLDeviceType(enum.IntEnum):
    """Device type codes of ``__dlpack_device__()``.

    >>> import flambeau
    >>> from flambeau.utils.dlpack import DLDeviceType
    >>> flambeau.zeros(1).__dlpack_device__()[0] == DLDeviceType.kDLCPU
    True
    """

    kDLCPU = 1
    kDLCUDA = 2
    kDLCUDAHost = 3
    kDLOpenCL = 4
    kDLVulkan = 7
    kDLMetal = 8
    kDLVPI = 9
    kDLROCM = 10
    kDLROCMHost = 11
    kDLExtDev = 12
    kDLCUDAManaged = 13
    kDLOneAPI = 14
    kDLWebGPU = 15
    kDLHexagon = 16
    kDLMAIA = 17
