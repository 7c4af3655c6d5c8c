#include "cuda/layers/grid_sample.h"

#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"

namespace flambeau::cuda {

namespace {

enum Kernel { kTaps, kSample, kPoints };

CudaModule& module_of(Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>(
        "grid_sample",
        std::string("#include \"device/layers/grid_sample.h\"\nFLAMBEAU_GRID_SAMPLE(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"taps", "sample", "points"});
  });
}

void run(Kernel kernel, const Tensor& like, int64_t threads, const GridArguments& a) {
  if (threads == 0) return;
  launch(like.device().index, module_of(like.dtype()), kernel, {unsigned(divide_up(threads, kThreads))}, kThreads, a);
}

char* pointer(const Tensor& t) { return t.defined() ? t.device_bytes() : nullptr; }

}  // namespace

GridSample::GridSample(const kernels::Sampling& sampling, const Tensor& image, const Tensor& grid, bool slopes)
    : sampling_(sampling), image_(image), grid_(grid), batch_(image.size(0)), channels_(image.size(1)) {
  places_ = sampling.size[0] * sampling.size[1] * sampling.size[2];
  points_ = batch_ ? grid.numel() / (batch_ * sampling.dims) : 0;
  const int64_t taps = sampling.taps(), total = batch_ * points_;
  index_ = empty({taps, total}, Dtype::int32);
  weight_ = empty({taps, total}, image.dtype());
  if (slopes) slope_ = empty({sampling.dims, taps, total}, image.dtype());
  run(kTaps, image_, total, arguments(Tensor(), Tensor()));
}

GridArguments GridSample::arguments(const Tensor& grad, const Tensor& out) const {
  return {sampling_,
          batch_,
          channels_,
          points_,
          places_,
          pointer(grid_),
          reinterpret_cast<int32_t*>(pointer(index_)),
          pointer(weight_),
          pointer(slope_),
          pointer(image_),
          pointer(grad),
          pointer(out)};
}

void GridSample::sample(const Tensor& out) const { run(kSample, image_, out.numel(), arguments(Tensor(), out)); }

void GridSample::point_gradient(const Tensor& out, const Tensor& grad) const {
  run(kPoints, image_, batch_ * points_, arguments(grad, out));
}

}  // namespace flambeau::cuda
