// Recurrent layers on a GPU. Each time step is a product with the weight of the hidden state and one kernel for the
// cells.
#include "cuda/layers/recurrent.h"

#include "cuda/operators.h"
#include "cuda/runtime/cuda_modules.h"
#include "cuda/runtime/launch.h"
#include "cuda/views.h"
#include "device/layers/recurrent_arguments.h"
#include "flambeau/copies.h"

namespace flambeau::cuda {

namespace {

enum Kernel { kForward, kBackward };

CudaModule& module_of(Cell cell, Dtype dtype) {
  static auto* modules = new CudaModules;
  static constexpr const char* names[] = {"TanhCell", "ReluCell", "LstmCell", "GruCell"};
  return modules->find(uint64_t(cell) * 16 + uint64_t(dtype), [&] {
    return std::make_unique<CudaModule>("recurrent cell",
                                        std::string("#include \"device/layers/recurrent.h\"\nFLAMBEAU_CELL(") +
                                            names[int(cell)] + ", " + type_name(dtype) + ")\n",
                                        std::initializer_list<const char*>{"forward", "backward"});
  });
}

template <class Arguments>
void launch_cells(const Tensor& gates, CudaModule& module, Kernel kernel, const Arguments& a) {
  constexpr int64_t kMaxRows = 65535;
  if (a.size == 0) return;
  const int64_t threads = std::min<int64_t>(divide_up(a.size, 32) * 32, kThreads);
  launch(gates.device().index, module, kernel,
         {unsigned(divide_up(a.size, threads)), unsigned(std::min(a.rows, kMaxRows))}, unsigned(threads), a);
}

Tensor rows(const Tensor& t, int64_t first, int64_t count) { return narrowed(t, 0, first, count); }
char* row_of(const Tensor& t, int64_t row) {
  return t.defined() ? t.device_bytes() + row * t.size(1) * item_size(t.dtype()) : nullptr;
}

}  // namespace

void recurrent_forward(Cell cell, const RecurrentWalk& w, const Tensor& weight, const Tensor& bias,
                       const Tensor& projection, const RecurrentBuffers& b) {
  CudaModule& module = module_of(cell, b.gates.dtype());
  const Dtype state_dtype = cell_dtype(b.gates.dtype());
  const Tensor own = empty({w.batch, w.gates * w.size}, state_dtype), transposed_weight = transposed(weight, 0, 1);
  const Tensor state = b.state.defined() ? to(b.state, state_dtype) : b.state,
               memory = w.separate ? to(b.hidden, state_dtype) : Tensor();
  const bool projected = projection.defined();
  const Tensor to_output = projected ? transposed(projection, 0, 1) : projection;
  for (int64_t step = 0; step < w.times(); ++step) {
    const int64_t t = w.time(step), n = w.sizes[size_t(t)], first = w.offsets[size_t(t)];
    if (n == 0) continue;
    const Tensor hidden = rows(b.hidden, 0, n);
    multiply(rows(own, 0, n), hidden, transposed_weight);
    const CellArguments a{n,
                          w.size,
                          row_of(b.gates, first),
                          row_of(own, 0),
                          bias.defined() ? bias.device_bytes() : nullptr,
                          row_of(state, 0),
                          row_of(memory, 0),
                          projected ? row_of(b.shown, first) : row_of(b.hidden, 0),
                          projected ? nullptr : row_of(b.output, first),
                          row_of(b.states, first),
                          row_of(b.own, first)};
    launch_cells(b.gates, module, kForward, a);
    if (!projected) continue;
    multiply(hidden, rows(b.shown, first, n), to_output);
    copy_values(rows(b.output, first, n), hidden);
  }
  if (b.state.defined() && state_dtype != b.state.dtype()) copy_values(b.state, state);
}

void recurrent_backward(Cell cell, const RecurrentWalk& w, const Tensor* saved, const Tensor& output_grad,
                        const RecurrentGradients& g) {
  CudaModule& module = module_of(cell, g.gates.dtype());
  const Tensor &weight = saved[kWeightHh], &projection = saved[kProjection], &own = w.separate ? g.own : g.gates;
  const bool projected = projection.defined();
  const Dtype state_dtype = g.hidden.dtype();
  const Tensor shown_grad = projected ? empty({w.batch, w.size}, state_dtype) : Tensor(),
               rest = w.separate ? zeros({w.batch, w.outputs}, state_dtype) : Tensor();
  for (int64_t step = w.times() - 1; step >= 0; --step) {
    const int64_t t = w.time(step), n = w.sizes[size_t(t)], first = w.offsets[size_t(t)];
    if (n == 0) continue;
    const Tensor grad = rows(g.hidden, 0, n);
    if (projected) {
      const Tensor of_output = rows(g.outputs, first, n);
      output_grad.defined() ? add(of_output, grad, rows(output_grad, first, n)) : copy_values(of_output, grad);
      multiply(rows(shown_grad, 0, n), of_output, projection);
    }
    const int64_t before = w.previous_row(t, 0), continued = w.continued(t);
    const CellGradientArguments a{n,
                                  w.size,
                                  continued,
                                  row_of(saved[kGates], first),
                                  row_of(saved[kOwn], first),
                                  projected ? nullptr : row_of(output_grad, first),
                                  continued ? row_of(saved[kStates], before) : nullptr,
                                  row_of(saved[kStates], first),
                                  row_of(saved[kState], 0),
                                  continued && w.separate ? row_of(saved[kOutput], before) : nullptr,
                                  w.separate ? row_of(saved[kHidden], 0) : nullptr,
                                  row_of(projected ? shown_grad : g.hidden, 0),
                                  row_of(g.state, 0),
                                  row_of(rest, 0),
                                  row_of(g.gates, first),
                                  row_of(g.own, first)};
    launch_cells(g.gates, module, kBackward, a);
    multiply(grad, rows(own, first, n), weight);
  }
  if (rest.defined()) add(g.hidden, g.hidden, rest);
}

}  // namespace flambeau::cuda
