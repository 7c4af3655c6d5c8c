// Operators that add dimensions to tensors and join the results along one of them.
#include "flambeau/operator.h"

namespace flambeau {

namespace {

Tensor raised_to_1(const Tensor& t) { return t.dim() == 0 ? reshape(t, {1}) : t; }
Tensor raised_to_2(const Tensor& t) { return t.dim() < 2 ? reshape(t, {1, t.numel()}) : t; }
Tensor raised_to_3(const Tensor& t) { return t.dim() < 3 ? unsqueeze(raised_to_2(t), -1) : t; }

template <Tensor (*raised)(const Tensor&)>
Tensors all_raised(const Tensors& given, const char* name) {
  require(!given.empty(), name, " expects a non-empty TensorList");
  Tensors out;
  for (const Tensor& t : given) out.push_back(raised(t));
  return out;
}

template <Tensor (*raised)(const Tensor&)>
TensorOrTensors raised_or_all(const TensorOrTensors& given) {
  if (const Tensor* t = std::get_if<Tensor>(&given)) return raised(*t);
  Tensors out = std::get<Tensors>(given);
  for (Tensor& t : out) t = raised(t);
  return out;
}

const Operator atleast_1d_operator(
    {.signature = "atleast_1d(*tensors)",
     .forms = kFunction,
     .doc = "Return a view with at least one dimension; for several tensors, a tuple of views. Gradient: input.",
     .forward = raised_or_all<raised_to_1>,
     .reference = "np.atleast_1d(tensors)",
     .samples = "np.array(2.5); f(2, 3)"});

const Operator atleast_2d_operator({.signature = "atleast_2d(*tensors)",
                                    .forms = kFunction,
                                    .doc = "Return a view with at least two dimensions; a vector becomes a row. For "
                                           "several tensors, return a tuple of views. Gradient: input.",
                                    .forward = raised_or_all<raised_to_2>,
                                    .reference = "np.atleast_2d(tensors)",
                                    .samples = "np.array(2.5); f(3); f(2, 3)"});

const Operator atleast_3d_operator({.signature = "atleast_3d(*tensors)",
                                    .forms = kFunction,
                                    .doc = "Return a view with at least three dimensions; a vector becomes (1, n, 1). "
                                           "For several tensors, return a tuple of views. Gradient: input.",
                                    .forward = raised_or_all<raised_to_3>,
                                    .reference = "np.atleast_3d(tensors)",
                                    .samples = "np.array(2.5); f(3); f(2, 3)"});

Tensor as_columns(const Tensor& t) { return t.dim() < 2 ? reshape(t, {t.numel(), 1}) : t; }

const Operator hstack_operator({.signature = "hstack(tensors)",
                                .forms = kFunction | kOut,
                                .doc = "Join tensors along the second dimension, vectors along the first.",
                                .forward = [](const Tensors& given) {
                                  const Tensors rows = all_raised<raised_to_1>(given, "hstack");
                                  return cat(rows, rows[0].dim() == 1 ? 0 : 1);
                                }});

const Operator vstack_operator({.signature = "vstack|row_stack(tensors)",
                                .forms = kFunction | kOut,
                                .doc = "Join tensors along the first dimension; vectors count as one row each.",
                                .forward = [](const Tensors& given) {
                                  return cat(all_raised<raised_to_2>(given, "vstack"), 0);
                                }});

const Operator dstack_operator(
    {.signature = "dstack(tensors)",
     .forms = kFunction | kOut,
     .doc = "Apply atleast_3d to the tensors and join the results along the third dimension.",
     .forward = [](const Tensors& given) { return cat(all_raised<raised_to_3>(given, "dstack"), 2); }});

const Operator column_stack_operator(
    {.signature = "column_stack(tensors)",
     .forms = kFunction | kOut,
     .doc = "Join tensors along the second dimension; vectors count as one column each.",
     .forward = [](const Tensors& given) { return cat(all_raised<as_columns>(given, "column_stack"), 1); }});

const Operator broadcast_tensors_operator({.signature = "broadcast_tensors(*tensors)",
                                           .forms = kFunction,
                                           .doc = "Return views of the tensors, expanded to their common shape. "
                                                  "Gradient: all tensors; summed over the expanded dimensions.",
                                           .forward = [](const Tensors& given) {
                                             Tensors tensors = given;
                                             Shape shape;
                                             for (const Tensor& t : tensors) shape = broadcast(shape, t.shape());
                                             for (Tensor& t : tensors) t = expand(t, shape);
                                             return tensors;
                                           }});

}  // namespace

}  // namespace flambeau
