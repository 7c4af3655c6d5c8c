// Memory shared with other libraries (dlpack.cpp), and the structures of DLPack 1.1 (https://dmlc.github.io/dlpack).
#pragma once

#include <cstdint>

#include "tensor/object.h"

namespace flambeau::python {

// has_gpu_memory() returns true for arrays of other libraries that have the CUDA array interface.
// tensor_from_gpu_memory() returns a tensor that uses the memory of such an array.
bool has_gpu_memory(PyObject* o);
Tensor tensor_from_gpu_memory(PyObject* o);

Tensor import_dlpack(PyObject* source);  // source: an object with __dlpack__, or a DLPack capsule

void bind_dlpack();

}  // namespace flambeau::python

extern "C" {

enum DLDeviceType : int32_t { kDLCPU = 1, kDLCUDA = 2, kDLCUDAHost = 3 };
enum DLTypeCode : uint8_t {
  kDLInt = 0,
  kDLUInt = 1,
  kDLFloat = 2,
  kDLBfloat = 4,
  kDLComplex = 5,
  kDLBool = 6,
  kDL_float8_e4m3fn = 10,
  kDL_float8_e4m3fnuz = 11,
  kDL_float8_e5m2 = 12,
  kDL_float8_e5m2fnuz = 13,
  kDL_float8_e8m0fnu = 14
};
inline constexpr uint64_t kReadOnlyFlag = 1, kCopiedFlag = 2;

struct DLDevice {
  int32_t device_type;
  int32_t device_id;
};
struct DLDataType {
  uint8_t code, bits;
  uint16_t lanes;
};
struct DLTensor {
  void* data;
  DLDevice device;
  int32_t ndim;
  DLDataType dtype;
  int64_t *shape, *strides;
  uint64_t byte_offset;
};
struct DLManagedTensor {
  DLTensor dl_tensor;
  void* manager_ctx;
  void (*deleter)(DLManagedTensor*);
};
struct DLPackVersion {
  uint32_t major, minor;
};
struct DLManagedTensorVersioned {
  DLPackVersion version;
  void* manager_ctx;
  void (*deleter)(DLManagedTensorVersioned*);
  uint64_t flags;
  DLTensor dl_tensor;
};

}  // extern "C"
