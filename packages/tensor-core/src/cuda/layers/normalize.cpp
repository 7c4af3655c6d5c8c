// Normalisations on a GPU. Note [Normalisation]
#include "cuda/operators.h"
#include "cuda/reduce.h"
#include "device/layers/normalize_arguments.h"

namespace flambeau::cuda {

namespace {

enum Operation { kLayerNorm, kRmsNorm, kLayerNormBackward, kRmsNormBackward, kRowsWeights, kMoments, kSums, kElements };

CudaModule& module_of(Operation operation, Dtype in) {
  static constexpr const char* names[] = {"LayerNorm",   "RmsNorm",        "LayerNormBackward", "RmsNormBackward",
                                          "RowsWeights", "ChannelMoments", "ChannelSums"};
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(operation) * 64 + uint64_t(in), [&] {
    if (operation == kElements)
      return std::make_unique<CudaModule>(
          "normalize",
          std::string("#include \"device/layers/normalize.h\"\nFLAMBEAU_CHANNELS(") + type_name(in) + ")\n",
          std::initializer_list<const char*>{"affine", "gradient"});
    return operation < kRowsWeights ? lines("layers/normalize", names[operation], in)
                                    : reduction(names[operation], in, "layers/normalize");
  });
}

char* pointer(const Tensor& t) { return t.defined() ? t.device_bytes() : nullptr; }
bool has_dtype(const Tensor& t, Dtype dtype) { return !t.defined() || t.dtype() == dtype; }

}  // namespace

void normalize_rows(const Tensor& out, const Tensor& statistics, const Tensor& x, const Tensor& weight,
                    const Tensor& bias, bool centred, double eps) {
  const int64_t rows = statistics.size(0);
  ReduceArguments a{};
  a.in[0] = pointer(x), a.out[0] = pointer(out), a.out[1] = pointer(statistics);
  a.weight = pointer(weight), a.bias = pointer(bias), a.eps = eps;
  a.stored_parameters = has_dtype(weight, x.dtype()) && has_dtype(bias, x.dtype());
  run_lines(x.device().index, module_of(centred ? kLayerNorm : kRmsNorm, x.dtype()), a,
            {rows, rows ? x.numel() / rows : 0, 1}, item_size(x.dtype()));
}

void normalize_rows_backward(const Tensor& out, const Tensor& grad, const Tensor& x, const Tensor& weight,
                             const Tensor& statistics, bool centred) {
  const int64_t rows = statistics.size(0);
  ReduceArguments a{};
  a.in[0] = pointer(grad), a.in[1] = pointer(x), a.out[0] = pointer(out);
  a.weight = pointer(weight), a.statistics = pointer(statistics);
  a.stored_parameters = has_dtype(weight, x.dtype());
  a.divisor = 1, a.modulus = std::max<int64_t>(rows, 1);
  run_lines(x.device().index, module_of(centred ? kLayerNormBackward : kRmsNormBackward, x.dtype()), a,
            {rows, rows ? x.numel() / rows : 0, 1}, item_size(x.dtype()));
}

void normalize_rows_weights(const Tensor& weights, const Tensor& biases, const Tensor& grad, const Tensor& x,
                            const Tensor& statistics) {
  ReduceArguments a{};
  a.in[0] = pointer(grad), a.in[1] = pointer(x), a.out[0] = pointer(weights), a.out[1] = pointer(biases);
  a.statistics = pointer(statistics);
  run_reduction(x.device().index, module_of(kRowsWeights, x.dtype()), a, {1, statistics.size(0), weights.numel()},
                item_size(x.dtype()), 2 * accumulator_size(x.dtype()));
}

namespace {

// Reduces each channel over its positions. If all samples are normalised together, also reduces over the samples
// (`batch`).
void reduce_channels(Operation operation, ReduceArguments a, const Tensor& x, int64_t batch, int64_t rows,
                     int64_t length, int64_t state) {
  const int device = x.device().index;
  const int64_t size = item_size(x.dtype());
  CudaModule& module = module_of(operation, x.dtype());
  if (batch == 1) return run_reduction(device, module, a, {rows, length, 1}, size, state);
  if (length == 1) return run_reduction(device, module, a, {1, batch, rows}, size, state);
  if (batch * rows * length == 0) return;
  Step parts{batch * rows, plan_of({batch * rows, length, 1}, size).parts, 1};
  Tensor states = states_of(device, module, a, {batch * rows, length, 1}, size, state);
  if (parts.length > 1) states = join_states_again(device, module, a, states, parts, state);
  join_states(device, module, a, states, {1, batch, rows});
}

}  // namespace

void channel_moments(const Tensor& statistics, const Tensor& running, const Tensor& x, int64_t batch, int64_t rows,
                     int64_t length, double eps) {
  ReduceArguments a{};
  a.in[0] = pointer(x), a.out[0] = pointer(statistics), a.out[1] = pointer(running), a.eps = eps;
  reduce_channels(kMoments, a, x, batch, rows, length, 4 * accumulator_size(x.dtype()));
}

void channel_sums(const Tensor& grads, const Tensor& products, const Tensor& grad, const Tensor& x,
                  const Tensor& statistics, int64_t members, int64_t batch, int64_t rows, int64_t length) {
  ReduceArguments a{};
  a.in[0] = pointer(grad), a.in[1] = pointer(x), a.out[0] = pointer(grads), a.out[1] = pointer(products);
  a.statistics = pointer(statistics), a.divisor = std::max<int64_t>(members, 1);
  a.modulus = std::max<int64_t>(statistics.size(0), 1);
  reduce_channels(kSums, a, x, batch, rows, length, 2 * accumulator_size(x.dtype()));
}

void channel_elements(const Tensor& out, const Tensor& x, const Tensor& grad, const ChannelNumbers& c, int64_t channels,
                      int64_t inner, int64_t members) {
  if (x.numel() == 0) return;
  ChannelArguments a{};
  a.count = x.numel();
  a.in = pointer(x), a.grad = pointer(grad), a.out = pointer(out);
  a.statistics = pointer(c.statistics), a.weight = pointer(c.weight), a.bias = pointer(c.bias);
  a.grads = pointer(c.grads), a.products = pointer(c.products), a.share = c.share;
  a.inner_size = inner, a.channel_count = channels, a.members = members;
  a.small = a.count < int64_t(1) << 31;
  if (a.small) {
    a.inner = Divider(uint32_t(inner)), a.channels = Divider(uint32_t(channels));
    a.members_divider = Divider(uint32_t(std::max<int64_t>(members, 1)));
  }
  const int64_t width = 16 / item_size(x.dtype());
  a.whole = inner % width == 0;
  for (const char* p : {a.in, a.grad, static_cast<const char*>(a.out)})
    a.whole &= reinterpret_cast<uintptr_t>(p) % 16 == 0;
  launch(x.device().index, module_of(kElements, x.dtype()), grad.defined(),
         {unsigned(divide_up(a.count, width * int64_t(kThreads)))}, kThreads, a);
}

}  // namespace flambeau::cuda
