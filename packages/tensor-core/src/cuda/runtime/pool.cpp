#include "cuda/runtime/pool.h"

#include <cstring>

#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "flambeau/copies.h"

namespace flambeau::cuda {

namespace {

Grid blocks_for(int64_t count) { return {unsigned(divide_up(count, kThreads))}; }

enum MaxPoolKernel { kValues, kDerivative, kDerivativeOfPacks };

// Returns the height and width of the windows if a separate kernel for this size exists, otherwise 0.
int64_t constant_size(const PoolWindows& w) {
  const int64_t size = w.kernel[2];
  return !w.adaptive && w.kernel[1] == size && (size == 2 || size == 3) ? size : 0;
}

CudaModule& max_pool_module(Dtype dtype, int64_t size) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype) * 8 + uint64_t(size), [&] {
    const std::string number = std::to_string(size);
    const std::string source = std::string("#include \"device/layers/pool.h\"\nFLAMBEAU_MAX_POOL(") + type_name(dtype) +
                               ", " + number + ", " + number + ")\n";
    return std::make_unique<CudaModule>(
        "max pool", source, std::initializer_list<const char*>{"values", "derivative", "derivative_of_packs"});
  });
}

void run_max_pool(MaxPoolKernel kernel, const PoolWindows& windows, const Tensor& out, const Tensor& indices,
                  const Tensor& input, const Tensor& samples = {}) {
  if (out.numel() == 0) return;
  MaxPoolArguments a{};
  a.windows = windows;
  a.input = input.device_bytes(), a.out = out.device_bytes();
  a.indices = reinterpret_cast<int64_t*>(indices.device_bytes());
  a.count = out.numel();
  if (samples.defined()) {
    a.samples = reinterpret_cast<const double*>(samples.device_bytes());
    a.sampled_dims = samples.size(-1),
    a.reversed_samples = a.sampled_dims == 2;  // 2 samples are ordered width, height; 3 are depth, height, width
  }
  for (int d = 0; d < 3; ++d) {
    a.by[d] = Divider(uint32_t(kernel == kValues ? windows.out[d] : windows.size[d]));
    a.steps[d] = Divider(uint32_t(windows.adaptive ? windows.size[d] : windows.stride[d]));
  }
  if (kernel == kDerivative) {
    const int64_t width = windows.size[2], packs = divide_up(width, kPixels);
    a.count = a.count / width * packs;
    a.by[2] = Divider(uint32_t(packs));
    if (width % kPixels == 0 && reinterpret_cast<uintptr_t>(a.out) % 16 == 0) kernel = kDerivativeOfPacks;
  }
  launch(out.device().index, max_pool_module(out.dtype(), constant_size(windows)), kernel, blocks_for(a.count),
         kThreads, a);
}

}  // namespace

void max_pool(const PoolWindows& windows, const Tensor& out, const Tensor& indices, const Tensor& input) {
  run_max_pool(kValues, windows, out, indices, input);
}
void fractional_max_pool(const PoolWindows& windows, const Tensor& out, const Tensor& indices, const Tensor& input,
                         const Tensor& samples) {
  run_max_pool(kValues, windows, out, indices, input, samples);
}
void max_pool_derivative(const PoolWindows& windows, const Tensor& out, const Tensor& indices, const Tensor& grad) {
  run_max_pool(kDerivative, windows, out, indices, grad);
}

DeviceMap device_map(const Resampling& map, const Shape& sizes, Dtype type, Device device) {
  DeviceMap out{type, device, Tensor(), {}};
  const size_t dims = map.axes.size(), missing = 3 - dims;
  int64_t bytes = 0;
  const auto reserve = [&](int64_t size) { return std::exchange(bytes, bytes + (size + 15) / 16 * 16); };
  for (size_t i = 0; i < dims; ++i) {
    DeviceMap::Axis& axis = out.axes[missing + i];
    axis.columns = axis.rows = sizes[i];
    const SparseMatrix* m = map.axes[i].get();
    if (!m) continue;
    axis.rows = m->rows();
    axis.ends = reserve(m->rows() * 8), axis.index = reserve(int64_t(m->taps()) * 4);
    axis.weight = reserve(int64_t(m->taps()) * item_size(type));
  }
  if (bytes == 0) return out;
  const OnDevice cpu{DeviceType::Cpu};
  const Tensor room = empty({bytes}, Dtype::uint8);
  for (size_t i = 0; i < dims; ++i) {
    const SparseMatrix* m = map.axes[i].get();
    if (!m) continue;
    const DeviceMap::Axis& axis = out.axes[missing + i];
    std::memcpy(room.bytes() + axis.ends, m->ends().data(), size_t(m->rows()) * 8);
    std::memcpy(room.bytes() + axis.index, m->index().data(), m->taps() * 4);
    dispatch(type, [&](auto tag) {
      using T = typename decltype(tag)::type;
      T* weight = reinterpret_cast<T*>(room.bytes() + axis.weight);
      for (size_t k = 0; k < m->taps(); ++k) weight[k] = convert<T>(m->weights()[k]);
    });
  }
  const OnDevice scope(device);
  out.memory = empty({bytes}, Dtype::uint8);
  copy_values(out.memory, room);
  return out;
}

void resample(const DeviceMap& map, const Tensor& out, const Tensor& input) {
  static auto* modules = new CudaModules;
  if (out.numel() == 0) return;
  const Dtype dtype = out.dtype();
  CudaModule& module = modules->find(uint64_t(dtype), [&] {
    const std::string source = std::string("#include \"device/layers/resample.h\"\nFLAMBEAU_RESAMPLE(") +
                               type_name(dtype) + ", " + type_name(map.type) + ")\n";
    return std::make_unique<CudaModule>("resampling", source, std::initializer_list<const char*>{"apply"});
  });
  ResampleArguments a{{}, input.device_bytes(), out.device_bytes(), out.numel(), {}};
  const char* memory = map.memory.defined() ? map.memory.device_bytes() : nullptr;
  for (int d = 0; d < 3; ++d) {
    const DeviceMap::Axis& axis = map.axes[d];
    a.axes[d] = {nullptr, nullptr, nullptr, axis.columns};
    if (axis.ends >= 0)
      a.axes[d] = {reinterpret_cast<const int64_t*>(memory + axis.ends),
                   reinterpret_cast<const int32_t*>(memory + axis.index), memory + axis.weight, axis.columns};
    a.by[d] = Divider(uint32_t(axis.rows));
  }
  launch(out.device().index, module, 0, blocks_for(a.count), kThreads, a);
}

}  // namespace flambeau::cuda
