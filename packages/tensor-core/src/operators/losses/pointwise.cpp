// Elementwise losses, which call the pointwise operators of pointwise/losses.def.
#include "flambeau/operator.h"
#include "flambeau/pointwise/losses.h"

namespace flambeau {

namespace {

const Operator _binary_cross_entropy_operator(
    {.signature = "_binary_cross_entropy(input, target)",
     .forms = kPrivate,
     .doc = "Compute -(y * log(x) + (1 - y) * log(1 - x)), where each logarithm is at least -100. Gradient: both "
            "operands, any order.",
     .forward = [](const Tensor& x, const Tensor& y) { return _binary_cross_entropy(x, y); },
     .reference = "-(target * np.log(input) + (1 - target) * np.log(1 - input))",
     .samples = "p(2, 3) / 2, p(2, 3) / 2"});

const Operator _binary_cross_entropy_with_logits_operator(
    {.signature = "_binary_cross_entropy_with_logits(input, target)",
     .forms = kPrivate,
     .doc = "Compute the binary cross entropy of sigmoid(x) without overflow. Gradient: both operands, any order.",
     .forward = [](const Tensor& x, const Tensor& y) { return _binary_cross_entropy_with_logits(x, y); },
     .reference = "np.maximum(input, 0) - input * target + np.log1p(np.exp(-np.abs(input)))",
     .samples = "f(2, 3), p(2, 3) / 2"});

const Operator _absolute_error_operator({.signature = "_absolute_error(input, target)",
                                         .forms = kPrivate,
                                         .doc = "Compute |x - y|. Gradient: both operands, any order.",
                                         .forward = [](const Tensor& x,
                                                       const Tensor& y) { return _absolute_error(x, y); },
                                         .reference = "np.abs(input - target)",
                                         .samples = "f(2, 3), f(2, 3)"});

const Operator _huber_operator({.signature = "_huber(input, target, delta)",
                                .forms = kPrivate,
                                .doc = "Compute d**2 / 2 where d = abs(x - y) is below delta, and delta * (d - delta / "
                                       "2) elsewhere. Gradient: both operands, any order.",
                                .forward = [](const Tensor& x, const Tensor& y,
                                              Scalar delta) { return _huber(x, y, delta); },
                                .reference = "scipy.special.huber(delta, input - target)",
                                .samples = "f(2, 3), f(2, 3), 0.5"});

}  // namespace

}  // namespace flambeau
