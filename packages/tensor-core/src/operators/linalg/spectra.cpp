// Derivatives of eigenvalues and singular values.
#include <limits>

#include "operators/linalg/linalg_checks.h"

namespace flambeau::linalg {

namespace {

Tensor diagonal_of(const Tensor& t) { return diagonal(t, 0, -2, -1); }
Tensor on_diagonal(const Tensor& values) { return diag_embed(values, 0, -2, -1); }
Tensor symmetric_part(const Tensor& t) { return (t + adjoint(t)) * Scalar(0.5); }
Tensor plus(const Tensor& a, const Tensor& b) { return !a.defined() ? b : !b.defined() ? a : a + b; }

Tensor without_diagonal(const Tensor& t) {
  return masked_fill(t, eye(t.size(-1), t.size(-1), Dtype::bool_), Scalar(0));
}

// Returns the matrix of the differences values[j] - values[i], with ones on the diagonal.
Tensor value_differences(const Tensor& values) {
  const int64_t n = values.size(-1);
  return masked_fill(unsqueeze(values, -2) - unsqueeze(values, -1), eye(n, n, Dtype::bool_), Scalar(1));
}

// Raises an error if the loss depends on the phases of the vectors, which are arbitrary. A gradient that itself
// requires a gradient is not checked, because it may have any direction, as in forward mode.
void require_no_phase(const char* name, const char* what, const Tensor& phases, const Tensor& gradient) {
  if (recording(gradient)) return;
  NoRecording off;
  require(item(all(le(abs(phases), Scalar(1e-2)), std::nullopt, false)).truth(), name, "_backward: The ", what,
          " in the complex case are specified up to multiplication by e^{i phi}. The specified loss function depends "
          "on this quantity, so it is ill-defined.");
}

// Records a decomposition. The gradients of outputs that the loss does not use are undefined.
template <size_t outputs>
void record_decomposition(const char* name, const Tensor& a, const Tensor* const (&results)[outputs],
                          Derivative derivative) {
  const Tensor* inputs[] = {&a};
  Recording recording{name, Recording::kFresh, results,      int(outputs),          inputs,
                      1,    results,           int(outputs), std::move(derivative), false};
  autograd_hooks->record(recording);
}

// Returns the gradient of A. Source: Giles 2008, section 3.1.
Tensor eigh_gradient(const Tensor& values, const Tensor& vectors, const Tensor& grad_values,
                     const Tensor& grad_vectors) {
  const Tensor adjoint_vectors = adjoint(vectors);
  if (!grad_vectors.defined()) return symmetric_part(matmul(vectors * unsqueeze(grad_values, -2), adjoint_vectors));
  const Tensor inner = matmul(adjoint_vectors, grad_vectors);
  if (is_complex(inner.dtype()))
    require_no_phase("linalg_eigh", "eigenvectors", imag(diagonal_of(inner)), grad_vectors);
  Tensor middle = without_diagonal(inner / value_differences(values));
  if (grad_values.defined()) middle = middle + on_diagonal(grad_values);
  return symmetric_part(matmul(matmul(vectors, middle), adjoint_vectors));
}

// Returns the gradient of A. Source: Boeddeker et al. 2017, arXiv:1701.00392, section 4.77.
Tensor eig_gradient(const Tensor& values, const Tensor& vectors, const Tensor& grad_values,
                    const Tensor& grad_vectors) {
  const Tensor adjoint_vectors = adjoint(vectors);
  const auto solved = [&](const Tensor& right) { return solve_ex(adjoint_vectors, right, true, false).result; };
  if (!grad_vectors.defined()) return solved(unsqueeze(grad_values, -1) * adjoint_vectors);
  const Tensor inner = matmul(adjoint_vectors, grad_vectors), on = diagonal_of(inner);
  require_no_phase("linalg_eig", "eigenvectors", imag(on), grad_vectors);
  Tensor middle = inner - matmul(adjoint_vectors, vectors) * unsqueeze(real(on), -2);
  middle = without_diagonal(middle / conj(value_differences(values)));
  if (grad_values.defined()) middle = middle + on_diagonal(grad_values);
  return solved(matmul(middle, adjoint_vectors));
}

struct Svd {
  Tensor u, s, vh;  // the factors or their gradients; gradients may be undefined
};

Tensor skew(const Tensor& t) { return t - adjoint(t); }

// Returns the factor M of the gradient of A, U M V^H. It contains the gradient of the singular values on the diagonal,
// and the terms that come from the gradients of U and V^H.
Tensor svd_middle(const Svd& f, const Svd& grad) {
  const bool complex = is_complex(f.u.dtype());
  Tensor turn_u, turn_v, middle;
  if (grad.u.defined()) turn_u = skew(matmul(adjoint(f.u), grad.u));
  if (grad.vh.defined()) turn_v = skew(matmul(f.vh, adjoint(grad.vh)));
  const auto phase = [&](const Tensor& factor) { return factor.defined() ? imag(diagonal_of(factor)) : Tensor(); };
  if (complex)
    require_no_phase("svd", "singular vectors", plus(phase(turn_u), phase(turn_v)),
                     grad.u.defined() ? grad.u : grad.vh);
  const Tensor value_gaps = value_differences(f.s * f.s);
  if (turn_u.defined()) {
    middle = without_diagonal(turn_u / value_gaps) * unsqueeze(f.s, -2);
    if (complex) {  // where S is 0, the phases are arbitrary
      const double eps = f.s.dtype() == Dtype::float64 ? std::numeric_limits<double>::epsilon()
                                                       : double(std::numeric_limits<float>::epsilon());
      const Tensor reached = amax(f.s, Shape{-1}, true) * Scalar(eps) < f.s;
      middle = middle + on_diagonal(where(reached, diagonal_of(turn_u), Scalar(0.0)) /
                                    (where(reached, f.s, Scalar(1.0)) * Scalar(2.0)));
    }
  }
  if (turn_v.defined()) middle = plus(middle, unsqueeze(f.s, -1) * without_diagonal(turn_v / value_gaps));
  return grad.s.defined() ? plus(middle, on_diagonal(grad.s)) : middle;
}

// Returns the gradient of A. Sources: Giles 2008, section 3.2; for complex matrices Wan, Zhang 2019, arXiv:1909.02659.
Tensor svd_gradient(const Svd& f, const Svd& grad) {
  const int64_t m = f.u.size(-2), k = f.s.size(-1), n = f.vh.size(-1);
  if (!grad.u.defined() && !grad.vh.defined()) return matmul(f.u * unsqueeze(grad.s, -2), f.vh);
  if (f.s.numel() == 0) return matmul(f.u, f.vh);  // the product is an empty tensor with the shape of A
  Tensor right = matmul(svd_middle(f, grad), f.vh);
  if (grad.vh.defined() && n > k) {
    const Tensor scaled = grad.vh / unsqueeze(f.s, -1);
    right = right + scaled - matmul(matmul(scaled, adjoint(f.vh)), f.vh);
  }
  const Tensor out = matmul(f.u, right);
  if (!grad.u.defined() || m <= k) return out;
  const Tensor scaled = grad.u / unsqueeze(f.s, -2);
  return out + matmul(scaled - matmul(f.u, matmul(adjoint(f.u), scaled)), f.vh);
}

}  // namespace

void record_eigh(const Tensor& a, const Tensor& values, const Tensor& vectors) {
  if (!recording(a)) return;
  record_decomposition("LinalgEigh", a, {&values, &vectors}, [](const Context& c) {
    c.set(0, eigh_gradient(c.saved(0), c.saved(1), c.gradient(0), c.gradient(1)));
  });
}

void record_eig(const Tensor& a, const Tensor& values, const Tensor& vectors) {
  if (!recording(a)) return;
  record_decomposition("LinalgEig", a, {&values, &vectors}, [complex = is_complex(a.dtype())](const Context& c) {
    const Tensor gradient = eig_gradient(c.saved(0), c.saved(1), c.gradient(0), c.gradient(1));
    c.set(0, complex ? gradient : real(gradient));
  });
}

void record_svd(const Tensor& a, const Tensor& u, const Tensor& s, const Tensor& vh) {
  if (!recording(a)) return;
  record_decomposition("LinalgSvd", a, {&u, &s, &vh}, [](const Context& c) {
    const int64_t k = c.saved(1).size(-1);
    const auto leading = [&](const Tensor& t, int64_t dim) { return t.defined() ? narrow(t, dim, 0, k) : t; };
    const auto cut = [&](const Tensor& u, const Tensor& s, const Tensor& vh) {
      return Svd{leading(u, -1), s, leading(vh, -2)};
    };
    c.set(0, svd_gradient(cut(c.saved(0), c.saved(1), c.saved(2)), cut(c.gradient(0), c.gradient(1), c.gradient(2))));
  });
}

}  // namespace flambeau::linalg
