// Layers, activations, losses.
#include "flambeau/distances.h"
#include "flambeau/recurrent.h"
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

Tensor rrelu(const Tensor& t, double lower, double upper) {
  const Tensor slopes = empty(t.shape(), t.dtype());
  fill_uniform(slopes, lower, upper, nullptr);
  return leaky_relu(t, slopes);
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
      op("celu", [](const Tensor& x, double alpha) { return celu(x, alpha); }),
      op("softshrink", [](const Tensor& x, double lambd) { return softshrink(x, lambd); }),
      op("glu", glu),
      op("prelu", prelu),
      op("_rrelu", rrelu),
      op("batch_norm",
         [](const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mean, const Tensor& var, bool training,
            double momentum, double eps,
            bool) { return batch_norm(x, mean, var, w, b, training, momentum, eps).values; },
         {1, 2, 3, 4}),
      op("layer_norm",
         [](const Tensor& x, const Shape& shape, const Tensor& w, const Tensor& b, double eps, bool) {
           return layer_norm(x, shape, w, b, eps).values;
         },
         {2, 3}),
      op("group_norm",
         [](const Tensor& x, int64_t groups, const Tensor& w, const Tensor& b, double eps, bool) {
           return group_norm(x, groups, w, b, eps).values;
         },
         {2, 3}),
      op("instance_norm",
         [](const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& mean, const Tensor& var, bool use_input,
            double momentum, double eps, bool) { return instance_norm(x, mean, var, w, b, use_input, momentum, eps); },
         {1, 2, 3, 4}),
      op("rms_norm", rms_norm, {2}),
      op("embedding", [](const Tensor& weight, const Tensor& indices, int64_t padding, bool by_frequency,
                         bool) { return embedding(weight, indices, padding, by_frequency); }),
      op("embedding_renorm_", embedding_renorm_),
      op("_embedding_bag",
         [](const Tensor& weight, const Tensor& indices, const Tensor& offsets, bool last_given, int64_t mode,
            const Tensor& per_sample, int64_t padding, bool by_frequency) {
           require<ValueError>(mode >= 0 && mode <= 2, "embedding_bag: mode must be 0, 1 or 2, got ", mode);
           return embedding_bag(weight, indices, offsets, last_given, BagMode(mode), per_sample, padding, by_frequency);
         },
         {2, 5}),
      op("_scaled_dot_product_attention", scaled_dot_product_attention, {3}),
      op("_recurrent_layer", recurrent, {7, 8, 9, 10}),
      op("dropout", [](const Tensor& x, double p, bool training) { return dropout(x, p, training, nullptr); }),
      op("cross_entropy", cross_entropy, {2}),
      op("nll_loss", nll_loss, {2}),
      op("mse_loss", mse_loss),
      op("_binary_cross_entropy", [](const Tensor& x, const Tensor& y) { return _binary_cross_entropy(x, y); }),
      op("_multi_margin_loss", multi_margin_loss, {4}),
      op("_multilabel_margin_loss", multilabel_margin_loss),
      op("_ctc_loss", ctc_loss),
      op("_nms", suppress_boxes, {3}),
      op("dist", dist),
      op("pairwise_distance", pairwise_distance),
      op("cosine_similarity", cosine_similarity),
      op("pdist", pdist),
      op("cdist",
         [](const Tensor& a, const Tensor& b, double p, std::optional<std::string_view> mode) {
           const std::string_view way = mode.value_or("use_mm_for_euclid_dist_if_necessary");
           return cdist(a, b, p,
                        way == "use_mm_for_euclid_dist"         ? Euclidean::ByProduct
                        : way == "donot_use_mm_for_euclid_dist" ? Euclidean::ByDifferences
                                                                : Euclidean::ByProductIfLarge);
         }),
      op("renorm", renorm),
  };
}

}  // namespace flambeau::program
