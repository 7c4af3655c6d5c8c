// Reductions on a GPU: a module for each operation and dtype. Note [Reducing]
#include "cuda/reduce.h"

#include <algorithm>

#include "cuda/operators.h"
#include "kernels/reduction_numbers.h"

namespace flambeau::cuda {

namespace {

std::string source(const char* header, const char* macro, const char* op, Dtype in) {
  return std::string("#include \"device/") + header + ".h\"\n" + macro + "(" + op + "<" + type_name(in) + ">)\n";
}
using Names = std::initializer_list<const char*>;  // names of the kernels, in the order of ReducePlan::Kernel

}  // namespace

std::unique_ptr<CudaModule> reduction(const char* op, Dtype in, const char* header) {
  return std::make_unique<CudaModule>(op, source(header, "FLAMBEAU_REDUCTION", op, in),
                                      Names{"short_rows", "long_rows", "columns", "wide_columns", "join"});
}
std::unique_ptr<CudaModule> lines(const char* header, const char* op, Dtype in) {
  return std::make_unique<CudaModule>(op, source(header, "FLAMBEAU_LINES", op, in),
                                      Names{"short_rows", "long_rows", "columns", "wide_columns", "held_rows"});
}

namespace {

void launch_plan(int device, CudaModule& module, ReduceArguments& a, const Step& step, const ReducePlan& plan,
                 unsigned threads = kReduceThreads) {
  a.outer = step.outer, a.length = step.length, a.inner = step.inner;
  a.part = plan.part, a.parts = int(plan.parts), a.lanes = plan.lanes, a.slots = plan.slots;
  launch(device, module, plan.kernel, plan.grid, threads, a);
}
Tensor room_for(int64_t states, int64_t size) { return empty({states * size}, Dtype::uint8); }

}  // namespace

void run_reduction(int device, CudaModule& module, ReduceArguments a, const Step& step, int64_t item_size,
                   int64_t state) {
  if (step.outer * step.inner == 0) return;
  const ReducePlan plan = plan_of(step, item_size);
  a.states = 0;
  if (plan.parts == 1) return launch_plan(device, module, a, step, plan);
  const Tensor states = states_of(device, module, a, step, item_size, state);
  join_states(device, module, a, states, {step.outer, plan.parts, step.inner});
}

void run_lines(int device, CudaModule& module, ReduceArguments a, const Step& step, int64_t item_size) {
  if (step.outer * step.length * step.inner == 0) return;
  const ReducePlan plan = plan_of_lines(step, item_size, a.in[1] ? 2 : 1);
  launch_plan(device, module, a, step, plan,
              plan.kernel == ReducePlan::kHeldRows ? unsigned(plan.lanes) : kReduceThreads);
}

Tensor states_of(int device, CudaModule& module, ReduceArguments a, const Step& step, int64_t item_size,
                 int64_t state) {
  const ReducePlan plan = plan_of(step, item_size);
  const Tensor states = room_for(step.outer * plan.parts * step.inner, state);
  a.states = 1;
  a.out[0] = states.device_bytes();
  launch_plan(device, module, a, step, plan);
  return states;
}

void join_states(int device, CudaModule& module, ReduceArguments a, const Tensor& states, const Step& step) {
  a.in[0] = states.device_bytes();
  a.outer = step.outer, a.length = step.length, a.inner = step.inner;
  const JoinPlan plan = join_plan_of(step);
  a.parts = 1, a.lanes = plan.lanes, a.slots = plan.slots;
  launch(device, module, ReducePlan::kJoin, plan.grid, kJoinThreads, a);
}

Tensor join_states_again(int device, CudaModule& module, ReduceArguments a, const Tensor& states, const Step& step,
                         int64_t state) {
  const Tensor out = room_for(step.outer * step.inner, state);
  a.out[0] = out.device_bytes();
  a.states = 1;
  join_states(device, module, a, states, step);
  return out;
}

namespace {

enum Family : uint64_t { kPlain, kArg, kMoments, kDot };
CudaModule& module_of(Family family, int op, Dtype in, const char* name) {
  static auto* modules = new CudaModules;
  return modules->find((uint64_t(family) * 64 + uint64_t(op)) * 64 + uint64_t(in), [&] { return reduction(name, in); });
}
ReduceArguments arguments(const Tensor& in, const Tensor& out) {
  ReduceArguments a{};
  a.in[0] = in.device_bytes();
  a.out[0] = out.device_bytes();
  return a;
}

}  // namespace

Tensor reduce(kernels::Reduce op, const Tensor& in, int64_t outer, int64_t length, int64_t inner, Dtype result) {
  static constexpr const char* names[] = {
#define REDUCTION(name, ...) #name,
#include "flambeau/reductions.def"
  };
  const Tensor out = empty({outer * inner}, result);
  run_reduction(in.device().index, module_of(kPlain, int(op), in.dtype(), names[int(op)]), arguments(in, out),
                {outer, length, inner}, item_size(in.dtype()), item_size(result));
  return out;
}

Tensor extreme_positions(bool largest, const Tensor& in, int64_t outer, int64_t length, int64_t inner) {
  const Tensor out = empty({outer * inner}, Dtype::int64);
  run_reduction(in.device().index, module_of(kArg, largest, in.dtype(), largest ? "ArgMax" : "ArgMin"),
                arguments(in, out), {outer, length, inner}, item_size(in.dtype()), 16);
  return out;
}

void moments(const Tensor& mean, const Tensor& squares, const Tensor& in, int64_t outer, int64_t length,
             int64_t inner) {
  ReduceArguments a = arguments(in, mean);
  a.out[1] = squares.device_bytes();
  run_reduction(in.device().index, module_of(kMoments, 0, in.dtype(), "Moments"), a, {outer, length, inner},
                item_size(in.dtype()), 4 * accumulator_size(in.dtype()));
}

void dot(const Tensor& out, const Tensor& x, const Tensor& y) {
  ReduceArguments a = arguments(x, out);
  a.in[1] = y.device_bytes();
  run_reduction(x.device().index, module_of(kDot, 0, x.dtype(), "Dot"), a, {1, x.numel(), 1}, item_size(x.dtype()),
                item_size(out.dtype()));
}

}  // namespace flambeau::cuda
