#include "cuda/libraries/cudnn_convolution.h"

#include <algorithm>
#include <array>

#include "cuda/libraries/cudnn_plans.h"
#include "flambeau/cuda/tf32.h"

namespace flambeau::cuda {

namespace {

using Geometry = ConvolutionGeometry;

constexpr int64_t kOldestVersion = 90000;
constexpr int64_t kMaxWorkspace = int64_t(1) << 30;
enum OperandId : int64_t { kImage = 1, kWeight, kOutput };

int data_type(Dtype d) {
  switch (d) {
    case Dtype::float32:
      return cudnn::kReal32;
    case Dtype::float64:
      return cudnn::kReal64;
    case Dtype::float16:
      return cudnn::kReal16;
    case Dtype::bfloat16:
      return cudnn::kBrain16;
    default:
      return -1;
  }
}

struct Problem {
  ConvolutionFunction function;
  const Geometry& geometry;
  Dtype dtype;
  bool channels_last, added;
  bool matrix_units;  // true if the library may use them
  int64_t alignment;  // common alignment of all addresses, in bytes
};

Problem problem_of(ConvolutionFunction function, const Geometry& g, const ConvolutionTensors& t, bool added) {
  const Dtype dtype = t.image.dtype();
  uintptr_t addresses = 16;  // no implementation needs more alignment
  for (const Tensor* tensor : {&t.image, &t.weight, &t.output})
    addresses |= reinterpret_cast<uintptr_t>(tensor->device_bytes());
  return {function,
          g,
          dtype,
          t.format != MemoryFormat::Contiguous,
          added,
          dtype != Dtype::float32 || tf32_allowed(),
          int64_t(addresses & -addresses)};
}

// All properties of a convolution on which its graph depends.
using Key = std::array<int64_t, 29>;
Key key_of(const Problem& p) {
  const Geometry& g = p.geometry;
  Key key{int64_t(p.function), int64_t(p.dtype), p.channels_last, p.added, p.matrix_units, p.alignment, g.batch,
          g.channels,          g.filters,        g.groups,        g.dims};
  auto next = key.begin() + 11;
  for (const Sizes* sizes : {&g.size, &g.kernel, &g.out, &g.stride, &g.padding, &g.dilation})
    next = std::copy(sizes->begin(), sizes->end(), next);
  return key;
}

// Returns the graph of the convolution. The library does not support convolutions in one dimension, so they are
// described as convolutions in two dimensions.
CudnnGraph graph_of(const Problem& p) {
  CudnnGraph graph;
  const Geometry& g = p.geometry;
  const size_t dims = size_t(std::max(g.dims, 2));
  const auto operand = [&](int64_t id, int64_t first, int64_t second, const Sizes& sizes) {
    std::array<int64_t, 5> size{first, second}, stride{};
    std::copy(sizes.end() - ptrdiff_t(dims), sizes.end(), size.begin() + 2);
    int64_t next = 1;
    const auto lay = [&](size_t i) { stride[i] = next, next *= size[i]; };
    if (p.channels_last) lay(1);
    for (size_t i = dims + 1; i > 1; --i) lay(i);
    if (!p.channels_last) lay(1);
    lay(0);
    return graph.operand(id, data_type(p.dtype), {size.data(), dims + 2}, {stride.data(), dims + 2}, p.alignment);
  };
  const auto last = [&](const Sizes& sizes) { return GraphSpan(sizes).last(dims); };
  graph.convolve(p.function, {operand(kImage, g.batch, g.channels, g.size),
                              operand(kWeight, g.filters, g.group_channels(), g.kernel),
                              operand(kOutput, g.batch, g.filters, g.out), last(g.padding), last(g.stride),
                              last(g.dilation), p.dtype == Dtype::float64 ? cudnn::kReal64 : cudnn::kReal32, p.added});
  return graph;
}

// Returns true if the library supports the sizes. It requires that the output has a position for each window that fits
// in the padded image, and that each tensor has fewer than 2**31 elements. With the output_padding of a transposed
// convolution, more windows can fit.
bool fits(const Geometry& g) {
  for (int i = 0; i < 3; ++i)
    if ((g.size[i] + 2 * g.padding[i] - g.reach(i) - 1) / g.stride[i] + 1 != g.out[i]) return false;
  const auto small = [](const Shape& shape) {
    const int64_t numbers = product(shape);
    return numbers > 0 && numbers < (int64_t(1) << 31);
  };
  return small(g.input_shape()) && small(g.weight_shape()) && small(g.output_shape());
}

}  // namespace

bool library_convolves(const Geometry& g, Dtype dtype) {
  return data_type(dtype) >= 0 && cudnn_usable(kOldestVersion) && fits(g);
}

bool library_convolution(ConvolutionFunction function, const Geometry& g, const ConvolutionTensors& tensors,
                         bool added) {
  const Problem p = problem_of(function, g, tensors, added);
  const GraphMemory memory{{kImage, tensors.image.device_bytes()},
                           {kWeight, tensors.weight.device_bytes()},
                           {kOutput, tensors.output.device_bytes()}};
  return of_device<CudnnPlans<Key>>(tensors.image.device().index)
      .run(key_of(p), memory, {kMaxWorkspace, p.matrix_units},
           [&](CudnnHandle* handle, const GraphLimits& limits) { return graph_of(p).plan(handle, limits); });
}

}  // namespace flambeau::cuda
