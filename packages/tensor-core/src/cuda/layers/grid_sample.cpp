#include "cuda/layers/grid_sample.h"

#include "cuda/runtime/launch.h"
#include "cuda/runtime/units.h"
#include "flambeau/operators.h"

namespace flambeau::cuda {

namespace {

enum Kernel { kTaps, kSample, kPoints };

Unit& unit_of(Dtype dtype) {
  static auto* units = new Units;
  return units->find(uint64_t(dtype), [=] {
    return std::make_unique<Unit>(
        "grid_sample",
        std::string("#include \"flambeau/device/grid_sample.h\"\nFLAMBEAU_GRID_SAMPLE(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"taps", "sample", "points"});
  });
}

void run(Kernel kernel, const Tensor& like, int64_t threads, const GridArguments& a) {
  if (threads == 0) return;
  launch(like.device().index, unit_of(like.dtype()), kernel, {unsigned(divide_up(threads, kThreads))}, kThreads, a);
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

// Each tap adds to its place, all channels at once; those beyond the image to a row that is left out.
Tensor GridSample::image_gradient(const Tensor& grad) const {
  const int64_t taps = sampling_.taps(), total = batch_ * points_, rows = batch_ * places_;
  const Tensor first =
      reshape(arange(Scalar(0), Scalar(batch_), Scalar(1), Dtype::int64) * Scalar(places_), {batch_, 1});
  const Tensor at = to(reshape(index_, {taps, batch_, points_}), Dtype::int64);
  const Tensor place = where(lt(at, Scalar(0)), Scalar(rows), at + first);
  const Tensor channels_last = transpose(reshape(grad, {batch_, channels_, points_}), 1, 2);
  const Tensor share = reshape(weight_, {taps, batch_, points_, 1}) * channels_last;
  const Tensor sums = index_add(zeros({rows + 1, channels_}, grad.dtype()), 0, reshape(place, {taps * total}),
                                reshape(share, {taps * total, channels_}));
  const Tensor images = reshape(narrow(sums, 0, 0, rows), {batch_, places_, channels_});
  return reshape(contiguous(transpose(images, 1, 2)), image_.shape());
}

}  // namespace flambeau::cuda
