// Random numbers and sequences on a GPU; the kernels are in device/random/random.h and sequences.h.
#include "cuda/random.h"

#include <algorithm>
#include <bit>

#include "cuda/radix.h"
#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "cuda/runtime/report.h"
#include "device/random/permutation_arguments.h"
#include "flambeau/copies.h"

namespace flambeau::cuda {

namespace {

CudaModule& draw_module(Distribution kind, Dtype dtype) {
  static auto* modules = new CudaModules;
  static constexpr const char* names[] = {
#define FLAMBEAU_NAME(name) #name,
      FLAMBEAU_DISTRIBUTIONS(FLAMBEAU_NAME)
#undef FLAMBEAU_NAME
  };
  return modules->find(uint64_t(kind) * 16 + uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>("random numbers",
                                        std::string("#include \"device/random/random.h\"\nFLAMBEAU_DRAW(") +
                                            names[int(kind)] + ", " + type_name(dtype) + ")\n",
                                        std::initializer_list<const char*>{"draw"});
  });
}

CudaModule& sample_module(kernels::Sampler kind) {
  static auto* modules = new CudaModules;
  static constexpr const char* names[] = {
#define FLAMBEAU_NAME(name, expression) #name,
      FLAMBEAU_SAMPLERS(FLAMBEAU_NAME)
#undef FLAMBEAU_NAME
  };
  return modules->find(uint64_t(kind), [=] {
    return std::make_unique<CudaModule>(
        "samples", std::string("#include \"device/random/samplers.h\"\nFLAMBEAU_SAMPLE(") + names[int(kind)] + ")\n",
        std::initializer_list<const char*>{"sample"});
  });
}

CudaModule& sequence_module(Dtype dtype) {
  static auto* modules = new CudaModules;
  return modules->find(uint64_t(dtype), [=] {
    return std::make_unique<CudaModule>(
        "a sequence",
        std::string("#include \"device/random/sequences.h\"\nFLAMBEAU_SEQUENCE(") + type_name(dtype) + ")\n",
        std::initializer_list<const char*>{"sequence"});
  });
}

double* numbers(const Tensor& t) { return t.defined() ? reinterpret_cast<double*>(t.device_bytes()) : nullptr; }
Position position(const DrawPosition& d) {
  return {d.seed, d.offset, d.start.defined() ? reinterpret_cast<const uint64_t*>(d.start.device_bytes()) : nullptr};
}
Grid grid_for(int64_t threads) { return {unsigned(divide_up(threads, kThreads))}; }

void run(SequenceArguments a, const Tensor& out) {
  a.out = out.device_bytes();
  a.count = out.numel();
  if (a.count) launch(out.device().index, sequence_module(out.dtype()), 0, grid_for(a.count), kThreads, a);
}

}  // namespace

void draw(Distribution kind, const Tensor& out, const Tensor& in, int64_t words, const DrawPosition& drawn,
          std::initializer_list<double> numbers, uint64_t threshold, uint64_t range) {
  if (out.numel() == 0) return;
  const Tensor on_device = in.defined() ? to(in, out.device()) : in;  // probabilities may be on the host
  DrawArguments a{out.device_bytes(),
                  in.defined() ? on_device.device_bytes() : nullptr,
                  out.numel(),
                  position(drawn),
                  {},
                  {threshold, range},
                  {}};
  if (kind == Distribution::BernoulliOf) a.reporter = reporter(out.device().index);
  std::copy(numbers.begin(), numbers.end(), a.numbers);
  // Normal numbers in double precision are computed in pairs from four consecutive counters.
  const bool normal = kind == Distribution::Normal || kind == Distribution::LogNormal;
  const int64_t counters = normal && words == 2 ? 4 : words, groups = divide_up(a.count * words, 64);
  launch(out.device().index, draw_module(kind, out.dtype()), 0, grid_for(groups * (16 / counters)), kThreads, a);
}

void sample(kernels::Sampler kind, const Tensor& out, const Tensor& first, const Tensor& second,
            const DrawPosition& drawn, double least) {
  if (out.numel() == 0) return;
  const int device = out.device().index;
  const SampleArguments a{numbers(out),    numbers(first), numbers(second), out.numel(),
                          position(drawn), least,          reporter(device)};
  launch(device, sample_module(kind), 0, grid_for(a.count), kThreads, a);
}

void check_weights(const Tensor& weights) {
  static auto* module =
      new CudaModule("weights of categories", "#include \"device/random/samplers.h\"\nFLAMBEAU_WEIGHTS\n", {"check"});
  const int device = weights.device().index;
  const WeightArguments a{numbers(weights), weights.size(1), reporter(device)};
  launch(device, *module, 0, {unsigned(weights.size(0))}, kThreads, a);
}

void gamma_slopes(const Tensor& out, const Tensor& concentration, const Tensor& sample, bool logarithms) {
  static auto* module = new CudaModule("derivatives of gamma variates",
                                       "#include \"device/random/samplers.h\"\nFLAMBEAU_GAMMA_SLOPES\n", {"slopes"});
  if (out.numel() == 0) return;
  const GammaSlopeArguments a{numbers(out), numbers(concentration), numbers(sample), out.numel(), logarithms};
  launch(out.device().index, *module, 0, grid_for(a.count), kThreads, a);
}

void beta_slopes(const Tensor& out, const Tensor& x, const Tensor& concentration, const Tensor& total) {
  static auto* module = new CudaModule("derivatives of beta variates",
                                       "#include \"device/random/samplers.h\"\nFLAMBEAU_BETA_SLOPES\n", {"slopes"});
  if (out.numel() == 0) return;
  const BetaSlopeArguments a{numbers(out), numbers(x), numbers(concentration), numbers(total), out.numel()};
  launch(out.device().index, *module, 0, grid_for(a.count), kThreads, a);
}

void exchange_sequentially(const Tensor& out, const Tensor& partners) {
  enum { kFindMoves, kTraceMoves };
  static auto* module =
      new CudaModule("permutations", "#include \"device/random/permutation.h\"\nFLAMBEAU_PERMUTATION\n",
                     {"find_moves", "trace_moves"});
  const int64_t n = out.numel();
  if (n == 0) return;
  const SortedKeys steps = radix_sort(partners, 1, n, std::max(1, int(std::bit_width(uint64_t(n - 1)))));
  const Tensor moving_step = zeros({n}, Dtype::uint32);
  const PermutationArguments a{reinterpret_cast<const uint32_t*>(steps.keys.device_bytes()),
                               reinterpret_cast<const uint32_t*>(steps.positions.device_bytes()),
                               reinterpret_cast<uint32_t*>(moving_step.device_bytes()),
                               reinterpret_cast<int64_t*>(out.device_bytes()), n};
  launch(out.device().index, *module, kFindMoves, grid_for(n), kThreads, a);
  launch(out.device().index, *module, kTraceMoves, grid_for(n), kThreads, a);
}

void sequence(const Tensor& out, const LinearSequence& line) { run({nullptr, 0, line, 0, 0, false}, out); }
void whole_sequence(const Tensor& out, int64_t first, int64_t step) { run({nullptr, 0, {}, first, step, true}, out); }

}  // namespace flambeau::cuda
