// One time step of recurrent networks, with the cells of flambeau/kernels/recurrent_cells.def. Each thread computes one
// hidden unit of some sequences. A module invokes FLAMBEAU_CELL(Cell, T), which defines the kernels `forward` and
// `backward`. 16-bit types are computed in float32.
#pragma once

#include "device/elementwise/halves.h"
#include "device/layers/recurrent_arguments.h"
#include "device/threads/kernel.h"
#include "flambeau/kernels/math.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

#include "flambeau/kernels/recurrent_cells.def"

}  // namespace flambeau::kernels::FLAMBEAU_ISA

namespace flambeau::cuda {

template <class Cell, class T>
struct Recurrent {
  static constexpr int kGates = Cell::gates;
  using V = std::conditional_t<std::is_same_v<T, double>, double, float>;

  // Arrays that a cell does not use are null. For them, `load` returns 0 and `store` does nothing.
  template <class From = T>
  static V load(const void* p, int64_t i) {
    return p ? convert<V>(static_cast<const From*>(p)[i]) : V(0);
  }
  template <class To = T>
  static void store(void* p, int64_t i, V value) {
    if (p) static_cast<To*>(p)[i] = convert<To>(value);
  }

  // Calls f(row, unit) for the rows and the hidden unit of this thread. Rows are distributed among the blocks along y.
  template <class Arguments, class F>
  static void each(const Arguments& a, F&& f) {
    const int64_t unit = int64_t(blockIdx.x) * blockDim.x + threadIdx.x;
    if (unit >= a.size) return;
    for (int64_t row = blockIdx.y; row < a.rows; row += gridDim.y) f(row, unit);
  }

  static void forward(const CellArguments& a) {
    each(a, [&](int64_t row, int64_t unit) {
      const int64_t first = row * kGates * a.size + unit, i = row * a.size + unit;
      V gate[kGates], own[kGates], state = Cell::stateful ? load<V>(a.state, i) : V(0),
                                   hidden = Cell::separate ? load<V>(a.memory, i) : V(0);
      for (int g = 0; g < kGates; ++g) {
        own[g] = load<V>(a.own, first + g * a.size) + load(a.bias, g * a.size + unit);
        gate[g] = load(a.gates, first + g * a.size) + (Cell::separate ? V(0) : own[g]);
      }
      store(a.kept, i, own[kGates - 1]);
      Cell::forward(gate, own, state, hidden);
      for (int g = 0; g < kGates; ++g) store(a.gates, first + g * a.size, gate[g]);
      if (Cell::stateful) store<V>(a.state, i, state), store<V>(a.states, i, state);
      if (Cell::separate) store<V>(a.memory, i, hidden);
      store(a.hidden, i, hidden), store(a.output, i, hidden);
    });
  }

  static void backward(const CellGradientArguments& a) {
    using kernels::FLAMBEAU_ISA::Step;
    each(a, [&](int64_t row, int64_t unit) {
      const int64_t first = row * kGates * a.size + unit, i = row * a.size + unit;
      const bool continued = row < a.continued;
      V gate[kGates], own[kGates] = {}, gate_grad[kGates], own_grad[kGates];
      for (int g = 0; g < kGates; ++g) gate[g] = load(a.gates, first + g * a.size);
      own[kGates - 1] = load(a.kept, i);
      const V before = continued ? load<V>(a.previous_states, i) : load(a.first_states, i),
              state = load<V>(a.states, i), hidden = load(continued ? a.previous_hidden : a.first_hidden, i);
      V grad = load<V>(a.grad, i) + load<V>(a.rest, i) + load(a.output_grad, i), state_grad = load<V>(a.state_grad, i);
      Cell::backward(Step<V>{gate, own, before, state, hidden}, grad, state_grad, gate_grad, own_grad);
      for (int g = 0; g < kGates; ++g) {
        store(a.gate_grads, first + g * a.size, gate_grad[g]);
        if (Cell::separate) store(a.own_grads, first + g * a.size, own_grad[g]);
      }
      store<V>(a.state_grad, i, state_grad), store<V>(a.rest, i, grad);
    });
  }
};

}  // namespace flambeau::cuda

#define FLAMBEAU_CELL(Cell, T)                                                        \
  FLAMBEAU_KERNEL(forward, flambeau::cuda::CellArguments) {                           \
    flambeau::cuda::Recurrent<flambeau::kernels::FLAMBEAU_ISA::Cell, T>::forward(a);  \
  }                                                                                   \
  FLAMBEAU_KERNEL(backward, flambeau::cuda::CellGradientArguments) {                  \
    flambeau::cuda::Recurrent<flambeau::kernels::FLAMBEAU_ISA::Cell, T>::backward(a); \
  }
