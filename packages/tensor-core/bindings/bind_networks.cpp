// What networks are made of: convolutions, pools, losses, normalisation, dropout, and the optimizers' steps.
#include "bind.h"

namespace flambeau::python {

namespace {

PyObject* conv2d_any(const Tensor& input, const Tensor& weight, const Tensor& bias, const Pair& stride,
                     PyObject* padding, const Pair& dilation, int64_t groups) {
  static const Parameter parameter{PyUnicode_InternFromString("padding")};
  const Call call{"conv2d", &parameter, 4};
  if (!PyUnicode_Check(padding))
    return wrap_tensor(conv2d(input, weight, bias, stride.values, From<const Pair&>::get(call, padding).values,
                              dilation.values, groups));
  const std::string_view mode = text_of(padding);
  if (mode == "valid") return wrap_tensor(conv2d(input, weight, bias, stride.values, {0, 0}, dilation.values, groups));
  require(mode == "same", "Invalid padding string: '", mode, "'; expected 'same' or 'valid'");
  require(stride.values[0] == 1 && stride.values[1] == 1, "padding='same' is not supported for strided convolutions");
  require(weight.dim() == 4, "conv2d: expected a 4-dimensional weight, got shape ", weight.shape());
  require(input.dim() == 3 || input.dim() == 4,
          "Expected 3D (unbatched) or 4D (batched) input to conv2d, but got input of size: ", input.shape());
  Shape pad(2), extra(2);
  for (int i = 0; i < 2; ++i) {
    const int64_t total = dilation.values[i] * (weight.size(2 + i) - 1);
    pad[i] = total / 2;
    extra[i] = total % 2;
  }
  if (extra[0] == 0 && extra[1] == 0)
    return wrap_tensor(conv2d(input, weight, bias, stride.values, pad, dilation.values, groups));
  // An odd total: one more row or column of zeros at the far side.
  Tensor x = input;
  for (int i = 0; i < 2; ++i)
    if (extra[i]) {
      Shape shape = x.shape();
      shape[shape.size() - 2 + size_t(i)] = 1;
      x = cat({x, zeros(shape, x.dtype())}, i - 2);
    }
  return wrap_tensor(conv2d(x, weight, bias, stride.values, pad, dilation.values, groups));
}

void warn_of_broadcast(const Tensor& input, const Tensor& target) {
  std::ostringstream text;
  text << "Using a target size (" << target.shape() << ") that is different to the input size (" << input.shape()
       << "): the two are broadcast, which compares every prediction with every target if one is [N] and the other "
          "[N, 1]. Give both the same shape.";
  if (PyErr_WarnEx(PyExc_UserWarning, text.str().c_str(), 1) < 0) throw PythonError();
}

Shape stride_or(PyObject* stride, const Shape& kernel) {
  static const Parameter parameter{PyUnicode_InternFromString("stride")};
  if (stride == Py_None || (PyTuple_Check(stride) && PyTuple_GET_SIZE(stride) == 0)) return kernel;
  return From<const Pair&>::get({"pool2d", &parameter, 2}, stride).values;
}

}  // namespace

void bind_networks() {
  def("linear(input, weight, bias=None)", kFunction,
      "input @ weight.T + bias: (*, in), (out, in), (out) give (*, out). Gradient: all three.", linear);
  def("conv2d(input, weight, bias=None, stride=1, padding=0, dilation=1, groups=1)", kFunction,
      "Two-dimensional cross-correlation: input (N, C, H, W) or (C, H, W), weight (F, C / groups, h, w). padding may "
      "be 'valid' or 'same'.\n\nGradient: all three, any order.",
      conv2d_any);
  def("max_pool2d(input, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, return_indices=False)",
      kFunction,
      "The largest value of each window; with return_indices also its position in the plane. Gradient: to that "
      "position.",
      [](const Tensor& t, const Pair& kernel, PyObject* stride, const Pair& padding, const Pair& dilation,
         bool ceil_mode, bool indices) -> PyObject* {
        const TensorPair pair = max_pool2d_with_indices(t, kernel.values, stride_or(stride, kernel.values),
                                                        padding.values, dilation.values, ceil_mode);
        return indices ? to_python(pair) : wrap_tensor(pair.values);
      });
  def("avg_pool2d(input, kernel_size, stride=None, padding=0, ceil_mode=False, count_include_pad=True, "
      "divisor_override=None)",
      kFunction, "The mean of each window. Gradient: shared evenly.",
      [](const Tensor& t, const Pair& kernel, PyObject* stride, const Pair& padding, bool ceil_mode, bool include,
         std::optional<int64_t> divisor) {
        return avg_pool2d(t, kernel.values, stride_or(stride, kernel.values), padding.values, ceil_mode, include,
                          divisor);
      });
  def("cross_entropy(input, target, weight=None, ignore_index=-100, reduction='mean', label_smoothing=0.0)", kFunction,
      "The cross entropy of logits (N, C, ...) and class indices (N, ...) or class probabilities of the input's "
      "shape.\n\n"
      "Raises IndexError for a class outside [0, C). Gradient: input (and probabilities), any order.",
      cross_entropy);
  def("nll_loss(input, target, weight=None, ignore_index=-100, reduction='mean')", kFunction,
      "The negative log likelihood of log-probabilities (N, C, ...) and class indices (N, ...). Gradient: input.",
      nll_loss);
  def("mse_loss(input, target, reduction='mean')", kFunction,
      "The mean of (input - target)**2, or with reduction='sum' their sum, with 'none' all of them.\n\n"
      "Warns if the shapes differ and broadcast. Gradient: both, any order.",
      [](const Tensor& input, const Tensor& target, Reduction reduction) {
        if (input.shape() != target.shape()) warn_of_broadcast(input, target);
        return mse_loss(input, target, reduction);
      });
  def("batch_norm(input, running_mean, running_var, weight=None, bias=None, training=False, momentum=0.1, eps=1e-05)",
      kFunction,
      "(input - mean) / sqrt(var + eps) * weight + bias over channels (dimension 1), with the batch's biased variance "
      "in training, when the running statistics are updated in place, and the running "
      "statistics otherwise.\n\nGradient: input, weight, bias. Source: Ioffe, Szegedy 2015, arXiv:1502.03167.",
      [](const Tensor& x, PyObject* mean, PyObject* var, const Tensor& w, const Tensor& b, bool training,
         double momentum, double eps) {
        static const Tensor none;
        require<TypeError>((mean == Py_None || is_tensor(mean)) && (var == Py_None || is_tensor(var)),
                           "batch_norm(): running_mean and running_var must be Tensors or None");
        return batch_norm(x, mean == Py_None ? none : tensor_of(mean), var == Py_None ? none : tensor_of(var), w, b,
                          training, momentum, eps);
      });
  def("dropout(input, p=0.5, training=True, *, generator=None)", kFunction,
      "Each element 0 with probability p, else divided by 1 - p; input itself outside training.\n\nThe mask is not "
      "stored: the derivative draws it again. Gradient: input.",
      [](PyObject* input, double p, bool training, Generator* generator) -> PyObject* {
        require<TypeError>(is_tensor(input), "dropout(): argument 'input' (position 1) must be Tensor, not ",
                           Py_TYPE(input)->tp_name);
        const Tensor out = dropout(tensor_of(input), p, training, generator);
        return out.same(tensor_of(input)) ? Py_NewRef(input) : wrap_tensor(out);
      });
  def("sgd_(params, grads, momentum_buffers, lr, momentum, dampening, weight_decay, nesterov, maximize, first)",
      kPrivate,
      "One step of stochastic gradient descent over lists of tensors, in place. momentum_buffers is empty without "
      "momentum; first fills them from the gradient.",
      [](const Tensors& params, const Tensors& grads, const Tensors& buffers, double lr, double momentum,
         double dampening, double decay, bool nesterov, bool maximize,
         bool first) { sgd_(params, grads, buffers, {lr, momentum, dampening, decay, nesterov, maximize, first}); });
  def("adam_(params, grads, exp_avgs, exp_avg_sqs, max_exp_avg_sqs, steps, lr, beta1, beta2, eps, weight_decay, "
      "amsgrad, maximize, decoupled)",
      kPrivate,
      "One step of Adam (AdamW if decoupled) over lists of tensors, in place; steps, 0-d float32 tensors, are "
      "incremented.",
      [](const Tensors& params, const Tensors& grads, const Tensors& m, const Tensors& v, const Tensors& largest,
         const Tensors& steps, double lr, double beta1, double beta2, double eps, double decay, bool amsgrad,
         bool maximize, bool decoupled) {
        adam_(params, grads, m, v, largest, steps, {lr, beta1, beta2, eps, decay, amsgrad, maximize, decoupled});
      });
}

}  // namespace flambeau::python
