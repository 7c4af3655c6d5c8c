// The derivative of a recurrent layer as differentiable operators, for higher derivatives. It repeats the loop of Note
// [Recurrence] with the same cells, one time step at a time.
#include "kernels/layers/networks.h"
#include "operators/layers/recurrent.h"

namespace flambeau {

namespace {

template <class V>
Tensor c(double v) {
  return wrapped_number(Scalar(v));
}
Tensor maximum(const Tensor& x, const Tensor& y) { return flambeau::maximum(x, y); }

#include "flambeau/kernels/recurrent_cells.def"

Tensor joined(Tensors parts, int64_t dim) { return parts.size() == 1 ? parts[0] : cat(parts, dim); }

// Returns `all` with its first rows replaced by `rows`.
Tensor replace_first_rows(const Tensor& all, const Tensor& rows) {
  const int64_t n = rows.size(0);
  return n == all.size(0) ? rows : cat({rows, narrow(all, 0, n, all.size(0) - n)}, 0);
}

struct Moment {  // values of one time step of the forward loop
  Tensor gate[4], own[4], previous_state, state, previous_hidden, shown;
};

class Walker {
 public:
  Walker(const RecurrentWalk& walk, const Context& context) : w(walk), s(context) {}

  template <class C>
  void run() {
    forward<C>();
    backward<C>();
  }

 private:
  Tensor head(const Tensor& t, int64_t n) const { return n == t.size(0) ? t : narrow(t, 0, 0, n); }
  Tensor rows_at(const Tensor& t, int64_t time) const {
    return narrow(t, 0, w.offsets[size_t(time)], w.sizes[size_t(time)]);
  }

  template <class C>
  void forward() {
    const Tensor &b_ih = s.saved(kBiasIh), &b_hh = s.saved(kBiasHh), &projection = s.saved(kProjection);
    const Tensor projected = linear(s.saved(kInput), s.saved(kWeightIh), b_ih);
    Tensor hidden = s.saved(kHidden), state = s.saved(kState);
    moments.resize(size_t(w.times()));
    for (int64_t step = 0; step < w.times(); ++step) {
      const int64_t t = w.time(step), n = w.sizes[size_t(t)];
      Moment& m = moments[size_t(t)];
      m.previous_hidden = head(hidden, n);
      Tensor gates = rows_at(projected, t);
      const Tensor own = linear(m.previous_hidden, s.saved(kWeightHh), b_hh);
      if (!C::separate) gates = gates + own;
      for (int g = 0; g < C::gates; ++g) {
        m.gate[g] = narrow(gates, 1, g * w.size, w.size);
        if (C::separate) m.own[g] = narrow(own, 1, g * w.size, w.size);
      }
      if (C::stateful) m.state = m.previous_state = head(state, n);
      m.shown = m.previous_hidden;
      C::template forward<Tensor>(m.gate, m.own, m.state, m.shown);
      hidden = replace_first_rows(hidden, projection.defined() ? linear(m.shown, projection, Tensor()) : m.shown);
      if (C::stateful) state = replace_first_rows(state, m.state);
    }
  }

  template <class C>
  void backward() {
    const Tensor& projection = s.saved(kProjection);
    const Dtype dtype = s.saved(kInput).dtype();
    const auto or_zeros = [&](const Tensor& t, int64_t width) {
      return t.defined() ? t : zeros({w.batch, width}, dtype);
    };
    Tensor grad = or_zeros(s.gradient(1), w.outputs), state_grad;
    if (C::stateful) state_grad = or_zeros(s.gradient(2), w.size);
    const size_t times = size_t(w.times());
    Tensors gates(times), owns(times), shown(times), before(times), outputs(times);
    for (int64_t step = w.times() - 1; step >= 0; --step) {
      const int64_t t = w.time(step), n = w.sizes[size_t(t)];
      const Moment& m = moments[size_t(t)];
      Tensor of_hidden = head(grad, n), of_state = C::stateful ? head(state_grad, n) : Tensor();
      if (s.gradient(0).defined()) of_hidden = of_hidden + rows_at(s.gradient(0), t);
      outputs[size_t(t)] = of_hidden, shown[size_t(t)] = m.shown, before[size_t(t)] = m.previous_hidden;
      if (projection.defined()) of_hidden = mm(of_hidden, projection);
      Tensor gate_grad[4], own_grad[4];
      C::template backward<Tensor>({m.gate, m.own, m.previous_state, m.state, m.previous_hidden}, of_hidden, of_state,
                                   gate_grad, own_grad);
      gates[size_t(t)] = joined(Tensors(gate_grad, gate_grad + C::gates), 1);
      owns[size_t(t)] = C::separate ? joined(Tensors(own_grad, own_grad + C::gates), 1) : gates[size_t(t)];
      Tensor previous = mm(owns[size_t(t)], s.saved(kWeightHh));
      if (C::separate) previous = previous + of_hidden;
      grad = replace_first_rows(grad, previous);
      if (C::stateful) state_grad = replace_first_rows(state_grad, of_state);
    }
    s.set(kHidden, grad);
    if (C::stateful) s.set(kState, state_grad);
    if (times) set_weights(gates, owns, shown, before, outputs);
  }

  void set_weights(const Tensors& gates, const Tensors& owns, const Tensors& shown, const Tensors& before,
                   const Tensors& outputs) {
    const Tensor gate_grads = joined(gates, 0), own_grads = joined(owns, 0);
    const auto transposed = [](const Tensor& t) { return transpose(t, 0, 1); };
    s.set(kInput, mm(gate_grads, s.saved(kWeightIh)));
    s.set(kWeightIh, mm(transposed(gate_grads), s.saved(kInput)));
    s.set(kWeightHh, mm(transposed(own_grads), joined(before, 0)));
    if (s.saved(kBiasIh).defined()) s.set(kBiasIh, sum(gate_grads, Shape{0}, false, {}));
    if (s.saved(kBiasHh).defined()) s.set(kBiasHh, sum(own_grads, Shape{0}, false, {}));
    if (s.saved(kProjection).defined()) s.set(kProjection, mm(transposed(joined(outputs, 0)), joined(shown, 0)));
  }

  const RecurrentWalk& w;
  const Context& s;
  std::vector<Moment> moments;
};

}  // namespace

void differentiable_recurrent_backward(Cell cell, const RecurrentWalk& walk, const Context& context) {
  Walker walker(walk, context);
  switch (cell) {
    case Cell::Tanh:
      return walker.run<TanhCell>();
    case Cell::Relu:
      return walker.run<ReluCell>();
    case Cell::Lstm:
      return walker.run<LstmCell>();
    case Cell::Gru:
      return walker.run<GruCell>();
  }
}

}  // namespace flambeau
