// The Schur form of a small general matrix, in double precision, and its eigenvectors. The eigenvalue operators use it.
//
// Note [Shifted QR]
// The matrix is balanced by powers of two and reduced by reflections to a Hessenberg matrix H. Steps of the QR
// algorithm, in each of which a bulge is chased down the diagonal by reflections, make the entries below the diagonal
// vanish one by one. Complex matrices use one shift in each step. Real ones use two at once, which keeps them real and
// leaves a 2x2 block for every pair of conjugate eigenvalues (Francis 1961). Golub, Van Loan, Matrix Computations, 4th
// edition, chapter 7; balancing: Parlett, Reinsch 1969.
#pragma once

#include <algorithm>
#include <cmath>
#include <complex>
#include <limits>
#include <vector>

#include "flambeau/complex.h"

namespace flambeau::shifted_qr {

using Complex128 = Complex<double>;

inline double size_of(double x) { return std::fabs(x); }
inline double size_of(Complex128 x) { return std::fabs(x.re) + std::fabs(x.im); }
inline double square_of(double x) { return x * x; }
inline double square_of(Complex128 x) { return x.re * x.re + x.im * x.im; }
inline double conjugate(double x) { return x; }
inline Complex128 conjugate(Complex128 x) { return {x.re, -x.im}; }

template <class S>  // double or Complex128
class Schur {
 public:
  std::vector<S> h, v;             // A = D V H V^H D^-1, row-major
  std::vector<double> scale;       // D
  std::vector<Complex128> values;  // the eigenvalues
  bool converged = true;

  // Moves from `a`. Without `vectors`, v stays empty, and h is valid only for its eigenvalues.
  Schur(std::vector<S> a, int64_t n, bool vectors)
      : h(std::move(a)),
        v(vectors ? size_t(n * n) : 0),
        scale(size_t(n), 1.0),
        values(size_t(n)),
        n_(n),
        x_(size_t(n)) {
    for (int64_t i = 0; i < n && vectors; ++i) v[size_t(i * n + i)] = S(1);
    balance();
    reduce();
    iterate();
  }

  double norm() const {
    double sum = 0;
    for (const S& x : h) sum = std::max(sum, size_of(x));
    return sum * double(n_);
  }
  bool is_paired_with_next(int64_t i) const { return i + 1 < n_ && !(h[size_t((i + 1) * n_ + i)] == S(0)); }

 private:
  static constexpr bool kReal = std::is_same_v<S, double>;
  static constexpr double kEps = std::numeric_limits<double>::epsilon();

  S& at(int64_t i, int64_t j) { return h[size_t(i * n_ + j)]; }

  void balance() {
    for (bool changed = true; changed;) {
      changed = false;
      for (int64_t i = 0; i < n_; ++i) {
        double column = 0, row = 0, factor = 1;
        for (int64_t j = 0; j < n_; ++j)
          if (j != i) column += size_of(at(j, i)), row += size_of(at(i, j));
        if (column == 0 || row == 0) continue;
        const double sum = column + row;
        for (; column < row / 2; column *= 4) factor *= 2;
        for (; column >= row * 2; column /= 4) factor /= 2;
        if ((column + row) / factor >= 0.95 * sum) continue;
        changed = true;
        scale[size_t(i)] *= factor;
        for (int64_t j = 0; j < n_; ++j) at(i, j) = at(i, j) * (1 / factor);
        for (int64_t j = 0; j < n_; ++j) at(j, i) = at(j, i) * factor;
      }
    }
  }

  // Replaces x_[0, count) by the vector w of the reflection 1 - beta_ w w^H that maps x_ to a multiple of the first
  // axis. Returns this multiple.
  S reflector(int64_t count) {
    double rest = 0;
    for (int64_t i = 1; i < count; ++i) rest += square_of(x_[size_t(i)]);
    beta_ = 0;
    if (rest == 0) return x_[0];
    const double first = std::sqrt(square_of(x_[0])), length = std::sqrt(square_of(x_[0]) + rest);
    const S image = first == 0 ? S(-length) : x_[0] * (-length / first);
    x_[0] = x_[0] - image;
    beta_ = 1 / (length * (length + first));
    return image;
  }

  void from_left(int64_t row, int64_t count, int64_t begin, int64_t end) {
    for (int64_t j = begin; j < end; ++j) {
      S sum(0);
      for (int64_t i = 0; i < count; ++i) sum = sum + conjugate(x_[size_t(i)]) * at(row + i, j);
      sum = sum * beta_;
      for (int64_t i = 0; i < count; ++i) at(row + i, j) = at(row + i, j) - x_[size_t(i)] * sum;
    }
  }
  void from_right(std::vector<S>& m, int64_t column, int64_t count, int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      S* row = m.data() + i * n_ + column;
      S sum(0);
      for (int64_t j = 0; j < count; ++j) sum = sum + row[j] * x_[size_t(j)];
      sum = sum * beta_;
      for (int64_t j = 0; j < count; ++j) row[j] = row[j] - sum * conjugate(x_[size_t(j)]);
    }
  }
  void reflect_sides(int64_t k, int64_t count, int64_t first_column, int64_t end_column, int64_t first_row,
                     int64_t end_row) {
    if (beta_ == 0) return;
    from_left(k, count, first_column, end_column);
    from_right(h, k, count, first_row, end_row);
    if (!v.empty()) from_right(v, k, count, 0, n_);
  }

  void reduce() {
    for (int64_t k = 0; k + 2 < n_; ++k) {
      for (int64_t i = k + 1; i < n_; ++i) x_[size_t(i - k - 1)] = at(i, k);
      at(k + 1, k) = reflector(n_ - k - 1);
      for (int64_t i = k + 2; i < n_; ++i) at(i, k) = S(0);
      reflect_sides(k + 1, n_ - k - 1, k + 1, n_, 0, n_);
    }
  }

  // Performs one step of the QR algorithm on the rows lo to hi. x_ must contain the first elements of the first column
  // of the shifted matrix. `bulge`: size of the reflections.
  void step(int64_t lo, int64_t hi, int64_t bulge) {
    const bool whole = !v.empty();
    for (int64_t k = lo; k < hi; ++k) {
      const int64_t count = std::min(bulge, hi - k + 1);
      for (int64_t i = 0; i < count && k > lo; ++i) x_[size_t(i)] = std::exchange(at(k + i, k - 1), S(0));
      const S image = reflector(count);
      if (k > lo) at(k, k - 1) = image;
      reflect_sides(k, count, k, whole ? n_ : hi + 1, whole ? 0 : lo, std::min(k + bulge, hi) + 1);
    }
  }

  void double_step(int64_t lo, int64_t hi, int tries)
    requires kReal
  {
    double x = at(hi, hi), y = at(hi - 1, hi - 1), w = at(hi, hi - 1) * at(hi - 1, hi);
    if (tries % 10 == 0) {  // from time to time an exceptional shift, because the usual shifts may cycle
      const double s = size_of(at(hi, hi - 1)) + size_of(at(hi - 1, hi - 2));
      x = y = at(hi, hi) + 0.75 * s;
      w = -0.4375 * s * s;
    }
    const double corner = at(lo, lo), r = x - corner, s = y - corner;
    x_[0] = (r * s - w) / at(lo + 1, lo) + at(lo, lo + 1);
    x_[1] = at(lo + 1, lo + 1) - corner - r - s;
    x_[2] = at(lo + 2, lo + 1);
    step(lo, hi, 3);
  }

  // The shift is an eigenvalue of the last 2x2 block: the one that is closer to the last diagonal entry of the block.
  void single_step(int64_t lo, int64_t hi, int tries)
    requires(!kReal)
  {
    const S product = at(hi, hi - 1) * at(hi - 1, hi), p = (at(hi - 1, hi - 1) - at(hi, hi)) * 0.5, q = p * p + product;
    const std::complex<double> r = std::sqrt(std::complex<double>(q.re, q.im));
    const S root(r.real(), r.imag()), far = square_of(p + root) > square_of(p - root) ? p + root : p - root;
    S shift = at(hi, hi) - (square_of(far) > 0 ? product / far : S(0));
    if (tries % 10 == 0) shift = at(hi, hi) + S(size_of(at(hi, hi - 1)));
    x_[0] = at(lo, lo) - shift;
    x_[1] = at(lo + 1, lo);
    step(lo, hi, 2);
  }

  // Computes the eigenvalues of the 2x2 block at row k. If they are real, makes the block triangular.
  void split(int64_t k)
    requires kReal
  {
    const double b = at(k, k + 1), c = at(k + 1, k), d = at(k + 1, k + 1), p = (at(k, k) - d) / 2, q = p * p + b * c;
    if (q < 0) {
      values[size_t(k)] = {d + p, std::sqrt(-q)};
      values[size_t(k + 1)] = {d + p, -std::sqrt(-q)};
      return;
    }
    const double z = p + std::copysign(std::sqrt(q), p);
    x_[0] = z;
    x_[1] = c;
    reflector(2);
    reflect_sides(k, 2, k, n_, 0, k + 2);
    at(k, k) = d + z;
    at(k + 1, k + 1) = z != 0 ? d - b * c / z : d;
    at(k + 1, k) = 0;
    values[size_t(k)] = at(k, k);
    values[size_t(k + 1)] = at(k + 1, k + 1);
  }

  void iterate() {
    const double whole = norm();
    int tries = 0;
    for (int64_t hi = n_ - 1; hi >= 0;) {
      int64_t lo = hi;
      for (; lo > 0; --lo) {
        const double around = size_of(at(lo - 1, lo - 1)) + size_of(at(lo, lo));
        if (size_of(at(lo, lo - 1)) > kEps * (around == 0 ? whole : around)) continue;
        at(lo, lo - 1) = S(0);
        break;
      }
      if (lo == hi) {
        values[size_t(hi)] = Complex128(at(hi, hi));
        --hi, tries = 0;
        continue;
      }
      if constexpr (kReal) {
        if (lo + 1 == hi) {
          split(lo);
          hi -= 2, tries = 0;
          continue;
        }
      }
      if (++tries > 30 + n_) {
        converged = false;
        return;
      }
      if constexpr (kReal)
        double_step(lo, hi, tries);
      else
        single_step(lo, hi, tries);
    }
  }

  int64_t n_;
  std::vector<S> x_;
  double beta_ = 0;
};

// Computes eigenvectors of a Schur form by back-substitution, from the last row to the first.
template <class S>
class BackSubstitution {
 public:
  BackSubstitution(const Schur<S>& schur, int64_t n)
      : s_(schur), n_(n), small_(std::numeric_limits<double>::epsilon() * schur.norm()) {}

  // Writes the eigenvector for `value`, which must be values[k], to x. Its norm is 1. For a pair of conjugate
  // eigenvalues, k is the index of the first.
  template <class E>  // double or Complex128
  void vector(int64_t k, E value, E* x) const {
    const bool pair = std::is_same_v<S, double> && std::is_same_v<E, Complex128>;
    std::fill(x, x + n_, E(0));
    x[k] = E(1);
    if (pair) {
      const S a = t(k, k), b = t(k, k + 1), c = t(k + 1, k), d = t(k + 1, k + 1);
      const bool upper = size_of(b) >= size_of(c);
      x[k] = upper ? E(1) : (value - E(d)) / E(c);
      x[k + 1] = upper ? (value - E(a)) / E(b) : E(1);
    }
    solve(k, k + 1 + pair, value, x);
    back(k + 1 + pair, x);
  }

 private:
  S t(int64_t i, int64_t j) const { return s_.h[size_t(i * n_ + j)]; }

  template <class E>
  E above(E x) const {
    return size_of(x) <= small_ ? E(small_ == 0 ? 1 : small_) : x;
  }
  template <class E>
  E sum(int64_t row, int64_t begin, int64_t end, const E* x) const {
    E out(0);
    for (int64_t j = begin; j < end; ++j) out = out - E(t(row, j)) * x[j];
    return out;
  }

  // Solves (T - value) x = 0 for the rows above `top`, where T is the Schur form.
  template <class E>
  void solve(int64_t top, int64_t end, E value, E* x) const {
    for (int64_t i = top - 1; i >= 0; --i) {
      if (i > 0 && s_.is_paired_with_next(i - 1)) {
        const E a = E(t(i - 1, i - 1)) - value, b(t(i - 1, i)), c(t(i, i - 1)), d = E(t(i, i)) - value;
        const E first = sum(i - 1, i + 1, end, x), second = sum(i, i + 1, end, x);
        E determinant = a * d - b * c;
        if (size_of(determinant) <= small_ * small_) determinant = E(small_ * small_);
        x[i - 1] = (first * d - b * second) / determinant;
        x[i] = (a * second - first * c) / determinant;
        --i;
      } else {
        x[i] = sum(i, i + 1, end, x) / above(E(t(i, i)) - value);
      }
      const double large = std::max(size_of(x[i]), size_of(x[i + 1]));
      if (large > 1e100)
        for (int64_t j = i; j < end; ++j) x[j] = x[j] * (1 / large);
    }
  }

  // Transforms x from the basis of Schur vectors to the basis of the original matrix, and scales it to the norm 1.
  template <class E>
  void back(int64_t end, E* x) const {
    std::vector<E> out(static_cast<size_t>(n_));
    double squares = 0;
    for (int64_t i = 0; i < n_; ++i) {
      E sum(0);
      for (int64_t j = 0; j < end; ++j) sum = sum + E(s_.v[size_t(i * n_ + j)]) * x[j];
      out[size_t(i)] = sum * s_.scale[size_t(i)];
      squares += square_of(out[size_t(i)]);
    }
    const double length = std::sqrt(squares);
    for (int64_t i = 0; i < n_; ++i) x[i] = out[size_t(i)] * (1 / length);
  }

  const Schur<S>& s_;
  int64_t n_;
  double small_;
};

}  // namespace flambeau::shifted_qr
