// Layers, activations, losses.
#include "flambeau/distances.h"
#include "flambeau/recurrent.h"
#include "flambeau/rows/activations.h"
#include "flambeau/rows/losses.h"
#include "program/operators.h"

namespace flambeau::program {

namespace {

Tensor gelu(const Tensor& t, std::string_view approximate) {
  return approximate == "tanh" ? _gelu_tanh(t) : _gelu_erf(t);
}

Tensor glu(const Tensor& t, int64_t dim) {
  const int64_t axis = t.wrap_dim(dim), size = t.size(dim);
  require(size % 2 == 0, "Halving dimension must be even, but dimension ", axis, " is size ", size);
  return _gate(narrow(t, axis, 0, size / 2), narrow(t, axis, size / 2, size / 2));
}

Tensor prelu(const Tensor& t, const Tensor& weight) {
  if (weight.numel() == 1) return leaky_relu(t, reshape(weight, Shape()));
  Shape shape;
  for (int d = 0; d < t.dim(); ++d) shape.push_back(d == 1 ? weight.numel() : 1);
  return leaky_relu(t, reshape(weight, shape));
}

Tensors recurrent(std::string_view mode, const Tensor& input, const Shape& sizes, bool backwards, const Tensor& hidden,
                  const Tensor& weight_ih, const Tensor& weight_hh, const Tensor& bias_ih, const Tensor& bias_hh,
                  const Tensor& projection, const Tensor& state) {
  const Cell cell = mode == "RNN_TANH"   ? Cell::Tanh
                    : mode == "RNN_RELU" ? Cell::Relu
                    : mode == "LSTM"     ? Cell::Lstm
                                         : Cell::Gru;
  const RecurrentOutput r =
      recurrent_layer(cell, input, hidden, state, {weight_ih, weight_hh, bias_ih, bias_hh, projection},
                      std::vector<int64_t>(sizes.begin(), sizes.end()), backwards);
  return r.state.defined() ? Tensors{r.output, r.hidden, r.state} : Tensors{r.output, r.hidden};
}

}  // namespace

Family network_operators() {
  return {
      op("linear", linear, {2}),
      op("gelu", gelu),
      op("glu", glu),
      op("prelu", prelu),
      op("instance_norm",
         [](const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mean, const Tensor& var, bool use_input,
            double momentum, double eps, bool) { return instance_norm(x, mean, var, w, b, use_input, momentum, eps); },
         {1, 2, 3, 4}),
      op("embedding_renorm_", embedding_renorm_),
      op("_recurrent_layer", recurrent, {7, 8, 9, 10}),
      op("dropout", [](const Tensor& x, double p, bool training) { return dropout(x, p, training, nullptr); }),
      op("mse_loss", mse_loss),
      op("_binary_cross_entropy", [](const Tensor& x, const Tensor& y) { return _binary_cross_entropy(x, y); }),
      op("_multi_margin_loss", multi_margin_loss, {4}),
      op("cdist",
         [](const Tensor& a, const Tensor& b, double p, std::optional<std::string_view> mode) {
           const std::string_view way = mode.value_or("use_mm_for_euclid_dist_if_necessary");
           return cdist(a, b, p,
                        way == "use_mm_for_euclid_dist"         ? Euclidean::ByProduct
                        : way == "donot_use_mm_for_euclid_dist" ? Euclidean::ByDifferences
                                                                : Euclidean::ByProductIfLarge);
         }),
  };
}

}  // namespace flambeau::program
