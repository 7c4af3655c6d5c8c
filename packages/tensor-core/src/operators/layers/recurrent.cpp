// Recurrent layers.
//
// Note [Recurrence]
// The inputs of all time steps are multiplied by their weight at once. The result is stored in the buffer that later
// contains the gates. The loop over time adds the contribution of the hidden state and applies the cell. For this, the
// weight of the hidden state is transposed once, so that its rows are contiguous. Sequences are independent, so each
// thread processes some sequences through all time steps. The derivative loops backwards in the same way and stores the
// gradients of the gates. At the end, one product over all time steps computes the gradients of the weights.
//
// On the CPU, half-precision layers are computed in float32. The exception is bfloat16 if no derivative is recorded:
// its elements are multiplied without conversion, with AMX and, for few sequences, also with AVX512-BF16, and hidden
// states are rounded before each product. On a GPU, products, hidden states and gates are in half precision for
// tensor cores. Values that accumulate over time are in float32: states, a GRU's hidden state, and gradients.
#include "operators/layers/recurrent.h"

#include <cstring>

#include "core/working_memory.h"
#include "cuda/layers/recurrent.h"
#include "flambeau/cuda.h"
#include "flambeau/operator.h"
#include "flambeau/parallel.h"
#include "kernels/layers/networks.h"
#include "kernels/linalg/bfloat16_gemm.h"
#include "operators/products/products.h"

namespace flambeau {

namespace {

int64_t row_grain(const RecurrentWalk& w) {
  return std::max<int64_t>(1, 200000 / (w.times() * w.gates * w.size * (w.outputs + 8) + 1));
}

template <class T>
T* row_of(const Tensor& t, int64_t row) {
  return t.defined() ? t.data<T>() + row * t.size(1) : nullptr;
}

// Returns true if an inference of the layer multiplies bfloat16 elements instead of converting them to float32.
// Products of few rows add their terms in another order. The results must not depend on how threads share many
// sequences, so the kernel for AMX computes all products of such a layer.
bool multiplies_elements(const RecurrentWalk& w, const Tensor& input, const Tensor& projection) {
  const int64_t width = w.gates * w.size;
  return multiplies_bfloat16(input.dtype(), w.rows(), width, input.size(1)) &&
         multiplies_bfloat16(input.dtype(), w.batch, width, w.outputs) && !projection.defined() &&
         (w.batch <= kernels::bfloat16_tile::kFewRows || kernels::uses_amx());
}
void multiply_rounded(const RecurrentWalk& w, int64_t n, const float* hidden, const Tensor& weight, float* sums,
                      bool adds, char* rounded) {
  const bool few = w.batch <= kernels::bfloat16_tile::kFewRows;
  const auto multiply = few ? kernels::table().bfloat16_gemm : kernels::amx::multiply_bfloat16;
  const int64_t width = w.gates * w.size;
  round_sums(rounded, Dtype::bfloat16, hidden, n * w.outputs);
  multiply(n, width, w.outputs, {rounded, w.outputs, 1}, {weight.bytes(), 1, w.outputs}, sums, width, adds);
}

// Processes the sequences [begin, end) through all time steps. If weight_hh is bfloat16, `weight` is weight_hh,
// otherwise it is the transpose.
template <class T>
void walk_forward(Cell cell, const RecurrentWalk& w, const Tensor& weight, const Tensor& bias, const Tensor& projection,
                  const RecurrentBuffers& b, int64_t begin, int64_t end) {
  constexpr int kind = sizeof(T) == 8;
  const auto gemm = kernels::table().gemm[kind];
  const auto kernel = kernels::networks().cell[int(cell)][kind];
  const int64_t width = w.gates * w.size, size = w.size;
  const Block own_gates(w.separate ? (end - begin) * width * int64_t(sizeof(T)) : 1);
  T* own = reinterpret_cast<T*>(own_gates.get());
  const bool rounds = weight.dtype() == Dtype::bfloat16;
  const Block rounded(rounds ? (end - begin) * w.outputs * int64_t(sizeof(bfloat16)) : 1);
  for (int64_t step = 0; step < w.times(); ++step) {
    const int64_t t = w.time(step), n = std::min(end, w.sizes[size_t(t)]) - begin;
    if (n <= 0) continue;
    const int64_t first = w.offsets[size_t(t)] + begin;
    T *gates = row_of<T>(b.gates, first), *hidden = row_of<T>(b.hidden, begin), *state = row_of<T>(b.state, begin);
    if (w.separate && bias.defined())
      for (int64_t r = 0; r < n; ++r) std::memcpy(own + r * width, bias.data<T>(), size_t(width) * sizeof(T));
    T* const sums = w.separate ? own : gates;
    const bool adds = !w.separate || bias.defined();
    if constexpr (kind == 0)
      if (rounds) multiply_rounded(w, n, hidden, weight, sums, adds, rounded.get());
    if (!rounds) gemm(n, width, w.outputs, 1, {hidden, w.outputs, 1}, {weight.data<T>(), width, 1}, adds, sums, width);
    T* shown = projection.defined() ? row_of<T>(b.shown, first) : hidden;
    for (int64_t r = 0; r < n; ++r) {
      T* const state_of_row = state ? state + r * size : nullptr;
      kernel({size, gates + r * width, own + r * width, state_of_row, shown + r * size});
    }
    if (projection.defined())
      gemm(n, w.outputs, size, 1, {shown, size, 1}, {projection.data<T>(), 1, size}, 0, hidden, w.outputs);
    std::memcpy(row_of<T>(b.output, first), hidden, size_t(n * w.outputs) * sizeof(T));
    if (b.states.defined()) std::memcpy(row_of<T>(b.states, first), state, size_t(n * size) * sizeof(T));
    if (b.own.defined())
      for (int64_t r = 0; r < n; ++r)
        std::memcpy(row_of<T>(b.own, first + r), own + r * width + (w.gates - 1) * size, size_t(size) * sizeof(T));
  }
}

template <class T>
void walk_backward(Cell cell, const RecurrentWalk& w, const Context& c, const RecurrentGradients& g, int64_t begin,
                   int64_t end) {
  constexpr int kind = sizeof(T) == 8;
  const auto gemm = kernels::table().gemm[kind];
  const auto kernel = kernels::networks().cell_backward[int(cell)][kind];
  const auto add = kernels::table().pointwise[int(op::add)][int(compute_type(dtype_of<T>()))];
  const int64_t width = w.gates * w.size, size = w.size, outputs = w.outputs;
  const Tensor& projection = c.saved(kProjection);
  const Block of_shown(projection.defined() ? (end - begin) * size * int64_t(sizeof(T)) : 1);
  for (int64_t step = w.times() - 1; step >= 0; --step) {
    const int64_t t = w.time(step), n = std::min(end, w.sizes[size_t(t)]) - begin;
    if (n <= 0) continue;
    const int64_t first = w.offsets[size_t(t)] + begin;
    T *grad = row_of<T>(g.hidden, begin), *state_grad = row_of<T>(g.state, begin), *shown_grad = grad;
    if (c.gradient(0).defined()) {
      char* const sum = reinterpret_cast<char*>(grad);
      char* const operands[] = {sum, sum, reinterpret_cast<char*>(row_of<T>(c.gradient(0), first))};
      add(operands, n * outputs);
    }
    if (projection.defined()) {
      std::memcpy(row_of<T>(g.outputs, first), grad, size_t(n * outputs) * sizeof(T));
      shown_grad = reinterpret_cast<T*>(of_shown.get());
      gemm(n, size, outputs, 1, {grad, outputs, 1}, {projection.data<T>(), size, 1}, 0, shown_grad, size);
    }
    for (int64_t r = 0; r < n; ++r) {
      const int64_t row = first + r, before = w.previous_row(t, begin + r), start = begin + r;
      kernel({size, row_of<T>(c.saved(kGates), row), row_of<T>(c.saved(kOwn), row),
              before < 0 ? row_of<T>(c.saved(kState), start) : row_of<T>(c.saved(kStates), before),
              row_of<T>(c.saved(kStates), row),
              before < 0 ? row_of<T>(c.saved(kHidden), start) : row_of<T>(c.saved(kOutput), before),
              shown_grad + r * size, g.state.defined() ? state_grad + r * size : nullptr, row_of<T>(g.gates, row),
              row_of<T>(g.own, row)});
    }
    const T* own = row_of<T>(w.separate ? g.own : g.gates, first);
    gemm(n, outputs, width, 1, {own, width, 1}, {c.saved(kWeightHh).data<T>(), outputs, 1}, w.separate, grad, outputs);
  }
}

// Returns the hidden state before each time step, as rows. These rows are copied from `output` or, for the first step
// of a sequence, from `hidden`. Adjacent rows are copied at once.
Tensor previous_hidden(const RecurrentWalk& w, const Tensor& output, const Tensor& hidden) {
  struct RowRange {
    bool of_output;
    int64_t begin, end;
  };
  std::vector<RowRange> ranges;
  const auto add = [&](bool of_output, int64_t begin, int64_t count) {
    if (count == 0) return;
    if (!ranges.empty() && ranges.back().of_output == of_output && ranges.back().end == begin)
      ranges.back().end += count;
    else
      ranges.push_back({of_output, begin, begin + count});
  };
  for (int64_t t = 0; t < w.times(); ++t) {
    const int64_t continued = w.continued(t);
    add(true, w.previous_row(t, 0), continued);
    add(false, continued, w.sizes[size_t(t)] - continued);
  }
  if (ranges.empty()) return empty(output.shape(), output.dtype());
  Tensors rows;
  for (const RowRange& r : ranges) rows.push_back(narrow(r.of_output ? output : hidden, 0, r.begin, r.end - r.begin));
  return cat(rows, 0);
}

Tensor own_copy(const Tensor& t, const Shape& shape, Dtype dtype) {
  return !t.defined() ? zeros(shape, dtype) : t.dtype() == dtype ? clone(t) : to(t, dtype);
}

void fused_backward(Cell cell, const RecurrentWalk& w, const Context& c) {
  const Tensor& gates = c.saved(kGates);
  const Dtype dtype = gates.dtype(), state_dtype = cell_dtype(dtype);
  const Tensor output_grad = c.gradient(0).defined() ? contiguous(c.gradient(0)) : Tensor();
  RecurrentGradients g;
  g.gates = empty(gates.shape(), dtype);
  if (w.separate) g.own = empty(gates.shape(), dtype);
  if (c.saved(kProjection).defined()) g.outputs = empty(c.saved(kOutput).shape(), dtype);
  g.hidden = own_copy(c.gradient(1), {w.batch, w.outputs}, state_dtype);
  if (c.saved(kState).defined()) g.state = own_copy(c.gradient(2), {w.batch, w.size}, state_dtype);
  const Tensor gradients[] = {output_grad, Tensor(), Tensor()};
  Tensor saved[kShown + 1];
  for (int i = 0; i <= kShown; ++i) saved[i] = c.saved(i).defined() ? contiguous(c.saved(i)) : Tensor();
  const Context inner(gradients, saved, nullptr, nullptr);
  const int64_t sequences = gates.is_meta() ? 0 : w.batch;
  if (cuda::runs_on_gpu(gates)) {
    cuda::recurrent_backward(cell, w, saved, output_grad, g);
  } else {
    dispatch_real(dtype, [&](auto tag) {
      using T = typename decltype(tag)::type;
      parallel_items(sequences, row_grain(w),
                     [&](int64_t begin, int64_t end) { walk_backward<T>(cell, w, inner, g, begin, end); });
    });
  }
  const Tensor& own = w.separate ? g.own : g.gates;
  const auto transposed = [](const Tensor& t) { return transpose(t, 0, 1); };
  const auto column_sums = [](const Tensor& t) { return sum(t, Shape{0}, false, {}); };
  if (c.needs(kInput)) c.set(kInput, mm(g.gates, c.saved(kWeightIh)));
  if (c.needs(kHidden)) c.set(kHidden, to(g.hidden, dtype));
  if (c.needs(kState)) c.set(kState, to(g.state, dtype));
  if (c.needs(kWeightIh)) c.set(kWeightIh, mm(transposed(g.gates), c.saved(kInput)));
  if (c.needs(kWeightHh)) c.set(kWeightHh, mm(transposed(own), previous_hidden(w, saved[kOutput], saved[kHidden])));
  if (c.needs(kBiasIh)) c.set(kBiasIh, column_sums(g.gates));
  if (c.needs(kBiasHh)) c.set(kBiasHh, column_sums(own));
  if (c.needs(kProjection)) c.set(kProjection, mm(transposed(g.outputs), c.saved(kShown)));
}

void check_shape(const Tensor& t, const Shape& shape, const char* name) {
  if (t.defined()) require(t.shape() == shape, name, " must have the shape ", shape, ", got ", t.shape());
}

constexpr int kGates[] = {1, 1, 4, 3};

RecurrentWalk checked_walk(Cell cell, const Tensor& input, const Tensor& hidden, const Tensor& state,
                           const RecurrentWeights& p, const std::vector<int64_t>& sizes, bool backwards) {
  require(input.dim() == 2 && hidden.dim() == 2 && p.weight_ih.dim() == 2 && p.weight_hh.dim() == 2,
          "recurrent layer: expected 2-dimensional tensors, got input ", input.shape(), ", hidden ", hidden.shape(),
          ", weight_ih ", p.weight_ih.shape(), ", weight_hh ", p.weight_hh.shape());
  RecurrentWalk w{sizes, {}, backwards, kGates[int(cell)], 0, hidden.size(1), hidden.size(0), cell == Cell::Gru};
  int64_t rows = 0, before = w.batch;
  for (const int64_t n : sizes) {
    require(n >= 0 && n <= before, "batch sizes must be non-negative, in descending order and at most ", w.batch,
            ", the number of sequences in the hidden state");
    w.offsets.push_back(rows);
    rows += before = n;
  }
  require(rows == input.size(0), "the batch sizes add up to ", rows, " rows, but the input has ", input.size(0));
  const int64_t width = p.weight_hh.size(0);
  require(width % w.gates == 0, "the number of rows of weight_hh, ", width,
          ", must be divisible by the number of gates, ", w.gates);
  w.size = width / w.gates;
  check_shape(p.weight_ih, {width, input.size(1)}, "weight_ih");
  check_shape(p.weight_hh, {width, w.outputs}, "weight_hh");
  check_shape(p.bias_ih, {width}, "bias_ih");
  check_shape(p.bias_hh, {width}, "bias_hh");
  require(state.defined() == (cell == Cell::Lstm),
          "a cell state is required for an LSTM and not allowed for other cells");
  check_shape(state, {w.batch, w.size}, "the cell state");
  require(p.projection.defined() ? cell == Cell::Lstm : w.outputs == w.size, "the size of the hidden states, ",
          w.outputs, ", must equal the size of the gates, ", w.size);
  check_shape(p.projection, {w.outputs, w.size}, "the projection");
  for (const Tensor* t : {&hidden, &state, &p.weight_ih, &p.weight_hh, &p.bias_ih, &p.bias_hh, &p.projection})
    if (t->defined())
      require(t->dtype() == input.dtype(), "expected all tensors of a recurrent layer to be of type ", input.dtype(),
              ", got ", t->dtype());
  return w;
}

// Computes input @ weight.T + bias in float32 from bfloat16 matrices.
Tensor float32_features(const Tensor& input, const Tensor& weight, const Tensor& bias) {
  const int64_t rows = input.size(0), terms = input.size(1), columns = weight.size(0);
  const Tensor x = contiguous(input), w = contiguous(weight), out = empty({rows, columns}, Dtype::float32);
  if (bias.defined()) copy_(out, bias);
  gemm_bfloat16(rows, columns, terms, {x.bytes(), terms, 1}, {w.bytes(), 1, terms}, out.data<float>(), columns,
                bias.defined());
  return out;
}

// Computes the layer. If `keep` is false, buffers that only the derivative reads stay undefined. The buffers have the
// dtype of `hidden`. If `hidden` is float32, input and weights may be bfloat16.
RecurrentBuffers run(Cell cell, const RecurrentWalk& w, const Tensor& input, const Tensor& hidden, const Tensor& state,
                     const RecurrentWeights& p, bool keep) {
  NoRecording off;
  const Dtype dtype = hidden.dtype();
  const bool joined = p.bias_ih.defined() && p.bias_hh.defined() && !w.separate, rounds = input.dtype() != dtype;
  RecurrentBuffers b;
  const Tensor input_bias = joined ? p.bias_ih + p.bias_hh : p.bias_ih;
  b.gates = (rounds ? float32_features : linear)(input, p.weight_ih, input_bias);
  b.output = empty({w.rows(), w.outputs}, dtype);
  b.hidden = clone(contiguous(hidden));
  if (state.defined()) b.state = clone(contiguous(state));
  if (keep && state.defined()) b.states = empty({w.rows(), w.size}, cell_dtype(dtype));
  if (keep && w.separate) b.own = empty({w.rows(), w.size}, dtype);
  if (p.projection.defined()) b.shown = empty({w.rows(), w.size}, dtype);
  if (input.is_meta()) return b;
  const Tensor bias = p.bias_hh.defined() && w.separate ? contiguous(p.bias_hh) : Tensor();
  if (cuda::runs_on_gpu(input)) {
    cuda::recurrent_forward(cell, w, p.weight_hh, bias, p.projection, b);
    return b;
  }
  const Tensor weight = contiguous(rounds ? p.weight_hh : transpose(p.weight_hh, 0, 1)),
               projection = p.projection.defined() ? contiguous(p.projection) : Tensor();
  dispatch_real(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    parallel_items(w.batch, row_grain(w), [&](int64_t begin, int64_t end) {
      walk_forward<T>(cell, w, weight, bias, projection, b, begin, end);
    });
  });
  return b;
}

constexpr const char* kNodes[] = {"RnnTanh", "RnnRelu", "Lstm", "Gru"};

}  // namespace

RecurrentOutput recurrent_layer(Cell cell, const Tensor& input, const Tensor& hidden, const Tensor& state,
                                const RecurrentWeights& p, const std::vector<int64_t>& sizes, bool backwards) {
  const RecurrentWalk w = checked_walk(cell, input, hidden, state, p, sizes, backwards);
  require<NotImplementedError>(is_floating(input.dtype()), "recurrent layers are not implemented for '", input.dtype(),
                               "'");
  const bool recorded = recording(input, hidden, state, p.weight_ih, p.weight_hh, p.bias_ih, p.bias_hh, p.projection);
  if (item_size(input.dtype()) == 2 && !cuda::runs_on_gpu(input)) {
    const auto to_float32 = [](const Tensor& t) { return t.defined() ? to(t, Dtype::float32) : t; };
    const auto narrow = [&](const Tensor& t) { return t.defined() ? to(t, input.dtype()) : t; };
    const Tensor bias_ih = to_float32(p.bias_ih), bias_hh = to_float32(p.bias_hh);
    if (!recorded && !input.is_meta() && multiplies_elements(w, input, p.projection)) {
      const RecurrentBuffers b = run(cell, w, input, to_float32(hidden), to_float32(state),
                                     {p.weight_ih, p.weight_hh, bias_ih, bias_hh, {}}, false);
      return {narrow(b.output), narrow(b.hidden), narrow(b.state)};
    }
    const RecurrentOutput r =
        recurrent_layer(cell, to_float32(input), to_float32(hidden), to_float32(state),
                        {to_float32(p.weight_ih), to_float32(p.weight_hh), bias_ih, bias_hh, to_float32(p.projection)},
                        sizes, backwards);
    return {narrow(r.output), narrow(r.hidden), narrow(r.state)};
  }
  const RecurrentBuffers b = run(cell, w, input, hidden, state, p, recorded);
  if (recorded) {
    Recording r{kNodes[int(cell)], Recording::kFresh, nullptr, 0, nullptr, 0, nullptr, 0, {}};
    const Tensor* outputs[] = {&b.output, &b.hidden, &b.state};
    const Tensor* saved[] = {&input,        &hidden,   &state,   &p.weight_ih, &p.weight_hh, &p.bias_ih, &p.bias_hh,
                             &p.projection, &b.output, &b.gates, &b.states,    &b.own,       &b.shown};
    r.outputs = outputs, r.output_count = b.state.defined() ? 3 : 2;
    r.inputs = saved, r.input_count = kProjection + 1;
    r.saved = saved, r.saved_count = kShown + 1;
    r.wants_zeros = false;
    r.derivative = [cell, w](const Context& c) {
      if (recording_enabled()) return differentiable_recurrent_backward(cell, w, c);
      fused_backward(cell, w, c);
    };
    autograd_hooks->record(r);
  }
  return {b.output, b.hidden, b.state};
}

namespace {

Cell cell_of(std::string_view mode) {
  constexpr std::string_view names[] = {"RNN_TANH", "RNN_RELU", "LSTM", "GRU"};
  for (int i = 0; i < 4; ++i)
    if (mode == names[i]) return Cell(i);
  require<ValueError>(false, "Unrecognized RNN mode: ", mode);
  return Cell::Tanh;
}

const Operator _recurrent_layer_operator(
    {.signature = "_recurrent_layer(mode, input, sizes, backwards, hidden, weight_ih, weight_hh, bias_ih=None, "
                  "bias_hh=None, projection=None, state=None)",
     .forms = kPrivate | kLowerPrecision,
     .doc = "Run one recurrent layer in one direction over packed rows; sizes contains the number of rows of each time "
            "step. Return the outputs, and for each sequence the final hidden state and (for an LSTM) the final cell "
            "state. Gradient: all tensors.",
     .forward = [](std::string_view mode, const Tensor& input, const Shape& sizes, bool backwards, const Tensor& hidden,
                   const Tensor& weight_ih, const Tensor& weight_hh, const Tensor& bias_ih, const Tensor& bias_hh,
                   const Tensor& projection, const Tensor& state) {
       const RecurrentOutput r =
           recurrent_layer(cell_of(mode), input, hidden, state, {weight_ih, weight_hh, bias_ih, bias_hh, projection},
                           std::vector<int64_t>(sizes.begin(), sizes.end()), backwards);
       return r.state.defined() ? Tensors{r.output, r.hidden, r.state} : Tensors{r.output, r.hidden};
     }});

}  // namespace

}  // namespace flambeau
