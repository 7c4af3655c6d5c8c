// One time step of recurrent cells for all hidden units of one sequence, and its derivative.
#include "flambeau/kernels/math.h"
#include "kernels/layers/networks.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

namespace {

#include "flambeau/kernels/recurrent_cells.def"

template <class Cell, class T>
void forward(const CellRow& row) {
  constexpr int G = Cell::gates;
  const int64_t size = row.size;
  T* __restrict gates = static_cast<T*>(row.gates), * __restrict states = static_cast<T*>(row.state), * __restrict hiddens = static_cast<T*>(row.hidden);
  const T* __restrict own = static_cast<const T*>(row.own);
#pragma GCC ivdep
  for (int64_t i = 0; i < size; ++i) {
    T gate[G], mine[G] = {}, state = Cell::stateful ? states[i] : T(0), hidden = Cell::separate ? hiddens[i] : T(0);
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
      gate[g] = gates[g * size + i];
      if constexpr (Cell::separate) mine[g] = own[g * size + i];
    }
    Cell::forward(gate, mine, state, hidden);
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) gates[g * size + i] = gate[g];
    if constexpr (Cell::stateful) states[i] = state;
    hiddens[i] = hidden;
  }
}

template <class Cell, class T>
void backward(const CellGradientRow& row) {
  constexpr int G = Cell::gates;
  const int64_t size = row.size;
  const T* __restrict gates = static_cast<const T*>(row.gates), * __restrict own = static_cast<const T*>(row.own), * __restrict previous_states = static_cast<const T*>(row.previous_state), * __restrict states = static_cast<const T*>(row.state), * __restrict previous_hiddens = static_cast<const T*>(row.previous_hidden);
  T* __restrict grads = static_cast<T*>(row.grad), * __restrict state_grads = static_cast<T*>(row.state_grad), * __restrict gate_grads = static_cast<T*>(row.gate_grads), * __restrict own_grads = static_cast<T*>(row.own_grads);
#pragma GCC ivdep
  for (int64_t i = 0; i < size; ++i) {
    T gate[G], mine[G] = {}, gate_grad[G], own_grad[G];
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) gate[g] = gates[g * size + i];
    if constexpr (Cell::separate) mine[G - 1] = own[i];
    const T before = Cell::stateful ? previous_states[i] : T(0), state = Cell::stateful ? states[i] : T(0),
            hidden = Cell::separate ? previous_hiddens[i] : T(0);
    T grad = grads[i], state_grad = Cell::stateful ? state_grads[i] : T(0);
    Cell::backward(Step<T>{gate, mine, before, state, hidden}, grad, state_grad, gate_grad, own_grad);
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
      gate_grads[g * size + i] = gate_grad[g];
      if constexpr (Cell::separate) own_grads[g * size + i] = own_grad[g];
    }
    if constexpr (Cell::stateful) state_grads[i] = state_grad;
    grads[i] = grad;
  }
}

template <class Cell>
void fill(NetworkTable& table, int index) {
  table.cell[index][0] = forward<Cell, float>;
  table.cell[index][1] = forward<Cell, double>;
  table.cell_backward[index][0] = backward<Cell, float>;
  table.cell_backward[index][1] = backward<Cell, double>;
}

}  // namespace

void fill_recurrent(NetworkTable& table) {
  fill<TanhCell>(table, 0);
  fill<ReluCell>(table, 1);
  fill<LstmCell>(table, 2);
  fill<GruCell>(table, 3);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
