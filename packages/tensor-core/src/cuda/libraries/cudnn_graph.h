// Operation graphs of cuDNN 9, through its backend interface (cudnn_graph.h).
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <utility>
#include <vector>

#include "cuda/runtime/driver.h"
#include "tasks/convolution.h"

namespace flambeau::cuda {

// Constants of the library.
namespace cudnn {
enum DataType { kReal32 = 0, kReal64 = 1, kReal16 = 2, kInt32 = 4, kBrain16 = 9, kBoolean = 11 };
enum PointwiseMode {
  kAdd = 0,
  kMultiply = 1,
  kDivide = 6,
  kSubtract = 9,
  kExp = 13,
  kLog = 15,
  kGreaterOrEqual = 303,
  kIndex = 501,
  kSelect = 601
};
enum ReductionMode { kSum = 0, kMaximum = 3 };
}  // namespace cudnn

struct CudnnHandle;
struct DescriptorHandle;

// Returns true if the library is enabled and installed and has at least this version (91900 is version 9.19).
bool cudnn_usable(int64_t version);
// Returns a new handle for the current GPU, or null if the library is not installed or cannot use the GPU.
CudnnHandle* create_cudnn_handle();

// One of the library's descriptors. It becomes null if one of its calls fails, or if one of its attributes is a null
// descriptor. A null descriptor ignores further calls, so only the last descriptor that is built from others has to be
// checked.
class CudnnDescriptor {
 public:
  CudnnDescriptor() = default;
  explicit CudnnDescriptor(int kind);
  explicit operator bool() const { return handle_ != nullptr; }
  DescriptorHandle* handle() const { return handle_.get(); }

  void set(int attribute, int type, const void* values, int64_t count = 1);
  void set(int attribute, const std::vector<DescriptorHandle*>& values);
  void finalize();
  // Reads up to `limit` values of an attribute and returns their number, or -1 after an error. If `values` is null,
  // returns the number of values that the attribute has.
  int64_t get(int attribute, int type, int64_t limit, void* values) const;

 private:
  struct Destroy {
    void operator()(DescriptorHandle* handle) const;
  };
  void check(int status);
  std::unique_ptr<DescriptorHandle, Destroy> handle_;
};

// The addresses of a graph's operands, by their identifiers.
class GraphMemory {
 public:
  GraphMemory(std::initializer_list<std::pair<int64_t, const void*>> operands) { add(operands); }
  void add(std::initializer_list<std::pair<int64_t, const void*>> operands) {
    for (const auto& [id, address] : operands) ids_[count_] = id, addresses_[count_++] = address;
  }

 private:
  friend class CudnnGraphPlan;
  static constexpr size_t kMax = 16;
  std::array<int64_t, kMax> ids_;
  std::array<const void*, kMax> addresses_;
  size_t count_ = 0;
};

// An executable graph, or null if the library does not support the graph.
class CudnnGraphPlan {
 public:
  explicit operator bool() const { return bool(plan_); }
  int64_t workspace() const { return workspace_; }  // size in bytes
  // Submits the graph to a stream. Returns false if the library returns an error.
  bool run(CudnnHandle* handle, StreamHandle* stream, const GraphMemory& memory, void* workspace) const;

 private:
  friend class CudnnGraph;
  CudnnDescriptor configuration_, plan_;
  int64_t workspace_ = 0;
};

// A batch of matrices in a graph, (batch, heads, rows, columns).
using GraphSizes = std::array<int64_t, 4>;
struct GraphTensor {
  DescriptorHandle* handle;
  GraphSizes size, stride;
};
GraphSizes contiguous_strides(const GraphSizes& size);

using GraphSpan = std::span<const int64_t>;  // sizes or strides, one for each dimension

struct GraphConvolution {
  DescriptorHandle *image, *weight, *output;
  GraphSpan padding, stride, dilation;
  int type;    // type of the sums
  bool added;  // if true, the result is added to the contents of its tensor
};

// Limits for the implementation that a plan uses. The implementation is always deterministic, and keeps the precision
// of the operands and of float32 sums.
struct GraphLimits {
  int64_t workspace;           // maximum size in bytes
  bool matrix_units = true;    // false: no tensor cores, which round float32 to TF32
  bool all_heuristics = true;  // false: only implementations that the library recommends for the GPU
};

class CudnnGraph {
 public:
  // Adds a tensor in memory. Calls of the plan identify it by `id`, which must be less than kIntermediates. A scalar is
  // a float32 in host memory.
  GraphTensor operand(int64_t id, int type, const GraphSizes& size, const GraphSizes& stride);
  // Adds a tensor with any number of dimensions, whose address is a multiple of `alignment`.
  DescriptorHandle* operand(int64_t id, int type, GraphSpan size, GraphSpan stride, int64_t alignment);
  GraphTensor scalar(int64_t id);
  GraphTensor intermediate(int type, const GraphSizes& size, const GraphSizes& stride);

  // Add operations that compute in float32.
  void multiply_matrices(const GraphTensor& left, const GraphTensor& right, const GraphTensor& out);
  // Reduces the dimensions that have size 1 in `out`.
  void reduce(int mode, const GraphTensor& in, const GraphTensor& out);
  // Changes the sizes and the strides.
  void reinterpret(const GraphTensor& in, const GraphTensor& out);
  // Adds a pointwise operation that computes in a type. The mode kIndex returns the indices along the dimension `dim`.
  void apply(int mode, std::initializer_list<GraphTensor> inputs, const GraphTensor& out, int type = cudnn::kReal32,
             const int64_t* dim = nullptr);
  // Adds a pointwise operation with an intermediate result of the given type, which has the size of the first input.
  GraphTensor apply(int mode, std::initializer_list<GraphTensor> inputs, int type = cudnn::kReal32);
  GraphTensor index(const GraphTensor& like, int64_t dim);
  // Adds a convolution or one of its gradients.
  void convolve(ConvolutionFunction function, const GraphConvolution& c);

  // Returns a plan for the implementation that the library expects to be the fastest within the limits. Graphs do not
  // share compiled kernels: with the library's cache of kernels for all sizes, version 9.19 computed wrong results.
  CudnnGraphPlan plan(CudnnHandle* handle, const GraphLimits& limits) const;

 private:
  static constexpr int64_t kIntermediates = 100;
  DescriptorHandle* keep(CudnnDescriptor descriptor);
  DescriptorHandle* tensor(int64_t id, int type, GraphSpan size, GraphSpan stride, int storage, int64_t alignment);
  void operation(int kind, std::initializer_list<std::pair<int, DescriptorHandle*>> attributes);

  std::vector<CudnnDescriptor> descriptors_;
  std::vector<DescriptorHandle*> operations_;
  int64_t intermediates_ = 0;
};

}  // namespace flambeau::cuda
