// Max pooling over windows of any start and size.
#pragma once

#include <optional>

#include "cuda/runtime/pool.h"
#include "flambeau/memory_format.h"
#include "flambeau/parallel.h"
#include "kernels/layers/networks.h"
#include "operators/images/pooling.h"

namespace flambeau {

// Returns one value for each of `dims` dimensions. `values` has these values, or a single value for all dimensions.
Shape one_per_dimension(const char* name, const char* argument, const Shape& values, int dims);
// Checks the number of dimensions of t, and that no dimension from `first` on is empty.
void check_pool_input(const char* name, int dims, const Tensor& t, int first);
// Records the derivative of `result`, the result of max pooling, and returns it. `windows` describes the windows for
// the kernel on a GPU.
TensorPair recorded_max_pool(const char* name, int dims, const Tensor& input, TensorPair result,
                             const std::optional<cuda::PoolWindows>& windows = {});

// Windows that are given by their starts and counts along each of up to three dimensions.
class Windows {
 public:
  struct Axis {
    int64_t size, step;
    std::vector<int64_t> start, count;
  };
  explicit Windows(std::vector<Axis> axes) : axes_(std::move(axes)) {}

  Shape output_shape(Shape shape) const {
    for (size_t i = 0; i < axes_.size(); ++i) shape[shape.size() - axes_.size() + i] = int64_t(axes_[i].start.size());
    return shape;
  }
  int64_t positions() const {
    int64_t n = 1;
    for (const Axis& a : axes_) n *= a.size;
    return n;
  }
  // Returns the windows in the form for the kernel. Missing leading dimensions have one window of size 1.
  kernels::MaxWindows view() const {
    static constexpr int64_t kZero = 0, kOne = 1;
    kernels::MaxWindows w;
    const size_t missing = 3 - axes_.size();
    for (size_t i = 0; i < 3; ++i) {
      if (i < missing) {
        w.axes[i] = {1, 1, 1, &kZero, &kOne};
      } else {
        const Axis& a = axes_[i - missing];
        w.axes[i] = {a.size, int64_t(a.start.size()), a.step, a.start.data(), a.count.data()};
      }
    }
    return w;
  }

 private:
  std::vector<Axis> axes_;
};

inline int kernel_index(Dtype type) { return type == Dtype::float32 ? 0 : type == Dtype::float64 ? 1 : 2; }

// Calls run(dtype, index of the plane, input, output, indices) with pointers for every plane. Returns the results in
// the given memory format.
template <class F>
TensorPair over_planes(const Tensor& input, const Shape& shape, int64_t positions, MemoryFormat format, F&& run) {
  TensorPair result;
  NoRecording off;
  const Dtype type = !is_floating(input.dtype())       ? Dtype::int64
                     : input.dtype() == Dtype::float64 ? Dtype::float64
                                                       : Dtype::float32;
  const Tensor x = contiguous(to(input, type));
  result.values = empty(shape, type);
  result.indices = empty(shape, Dtype::int64);
  const int64_t planes = x.numel() / positions, outputs = planes ? result.values.numel() / planes : 0,
                size = item_size(type);
  if (result.values.numel() && !x.is_meta())
    parallel_items(planes, std::max<int64_t>(1, 20000 / (positions + 1)), [&](int64_t begin, int64_t end) {
      for (int64_t p = begin; p < end; ++p)
        run(type, p, x.bytes() + p * positions * size, result.values.bytes() + p * outputs * size,
            result.indices.data<int64_t>() + p * outputs);
    });
  result.values = laid_out(to(result.values, input.dtype()), format);
  result.indices = laid_out(result.indices, format);
  return result;
}

}  // namespace flambeau
