// Functions of flambeau.fft (python/flambeau/fft.py).
#include "flambeau/operator.h"
#include "flambeau/operators/grids.h"

namespace flambeau {

namespace {

struct Transform {
  const char *signature, *name;
  Fourier kind;
  bool inverse;
  const char *doc, *reference, *samples;
};

constexpr Transform kAlongOne[] = {
    {"fft(input, n=None, dim=-1, norm=None)", "fft", Fourier::Complex, false,
     "Compute the discrete Fourier transform along one dimension: ``X[k] = sum of x[j] exp(-2 pi i j k / n)``.\n\n>>> "
     "flambeau.fft.fft(flambeau.tensor([0.0, 1.0, 0.0, 0.0]))\ntensor([ 1.+0.j,  0.-1.j, -1.+0.j,  0.+1.j])",
     "scipy.fft.fft(input, n, dim, norm)", "c(4); c(3, 4), 6, 0, 'ortho'; f(5), 3"},
    {"ifft(input, n=None, dim=-1, norm=None)", "ifft", Fourier::Complex, true, "Compute the inverse of ``fft``.",
     "scipy.fft.ifft(input, n, dim, norm)", "c(4); c(3, 4), 6, 0, 'ortho'; f(5), 3"},
    {"rfft(input, n=None, dim=-1, norm=None)", "rfft", Fourier::RealToHalf, false,
     "Compute the first n // 2 + 1 values of the transform of a real input; the other values are conjugates of "
     "these.\n\n>>> "
     "flambeau.fft.rfft(flambeau.tensor([1.0, 2.0, 1.0, 0.0])).shape\nflambeau.Size([3])",
     "scipy.fft.rfft(input, n, dim, norm)", "f(5); f(3, 4), 6, 0, 'ortho'"},
    {"irfft(input, n=None, dim=-1, norm=None)", "irfft", Fourier::HalfToReal, true,
     "Compute the inverse of ``rfft``: n real values. By default, n is 2 * (input.size(dim) - 1).",
     "scipy.fft.irfft(input, n, dim, norm)", "c(4); c(3, 4), 6, 0, 'ortho'"},
    {"hfft(input, n=None, dim=-1, norm=None)", "hfft", Fourier::HalfToReal, false,
     "Compute the real spectrum of a signal that is Hermitian in time; input is the first half of the signal.",
     "scipy.fft.hfft(input, n, dim, norm)", "c(4); c(3, 4), 6, 0, 'ortho'"},
    {"ihfft(input, n=None, dim=-1, norm=None)", "ihfft", Fourier::RealToHalf, true,
     "Compute the inverse of ``hfft``: the first half of the Hermitian signal whose real spectrum is input.",
     "scipy.fft.ihfft(input, n, dim, norm)", "f(5); f(3, 4), 6, 0, 'ortho'"},
};
constexpr Transform kOverSeveral[] = {
    {"fftn(input, s=None, dim=None, norm=None)", "fftn", Fourier::Complex, false,
     "Compute the discrete Fourier transform over ``dim``: by default all dimensions or, with ``s``, the last len(s) "
     "dimensions.",
     "scipy.fft.fftn(input, s, dim, norm)", "c(3, 4); f(3, 4), (4, 3), (0, 1), 'ortho'"},
    {"ifftn(input, s=None, dim=None, norm=None)", "ifftn", Fourier::Complex, true, "Compute the inverse of ``fftn``.",
     "scipy.fft.ifftn(input, s, dim, norm)", "c(3, 4); f(3, 4), (4, 3), (0, 1), 'ortho'"},
    {"rfftn(input, s=None, dim=None, norm=None)", "rfftn", Fourier::RealToHalf, false,
     "Compute ``fftn`` of a real input, but only the first half along the last dimension in ``dim``.",
     "scipy.fft.rfftn(input, s, dim, norm)", "f(3, 4); f(3, 4), (4, 3), (0, 1), 'ortho'"},
    {"irfftn(input, s=None, dim=None, norm=None)", "irfftn", Fourier::HalfToReal, true,
     "Compute the inverse of ``rfftn``.", "scipy.fft.irfftn(input, s, dim, norm)",
     "c(3, 4); c(3, 4), (4, 5), (0, 1), 'ortho'"},
    {"hfftn(input, s=None, dim=None, norm=None)", "hfftn", Fourier::HalfToReal, false,
     "Compute the real spectrum over ``dim`` of a Hermitian signal; input is its first half along the last of them.",
     "scipy.fft.hfftn(input, s, dim, norm)", "c(3, 4); c(3, 4), (4, 5), (0, 1), 'ortho'"},
    {"ihfftn(input, s=None, dim=None, norm=None)", "ihfftn", Fourier::RealToHalf, true,
     "Compute the inverse of ``hfftn``.", "scipy.fft.ihfftn(input, s, dim, norm)",
     "f(3, 4); f(3, 4), (4, 3), (0, 1), 'ortho'"},
};
constexpr Transform kOverTwo[] = {
    {"fft2(input, s=None, dim=(-2, -1), norm=None)", "fft2", Fourier::Complex, false,
     "Compute ``fftn`` over the last two dimensions.", "scipy.fft.fft2(input, s, dim, norm)",
     "c(3, 4); f(3, 4), (4, 3), (0, 1), 'ortho'"},
    {"ifft2(input, s=None, dim=(-2, -1), norm=None)", "ifft2", Fourier::Complex, true,
     "Compute ``ifftn`` over the last two dimensions.", "scipy.fft.ifft2(input, s, dim, norm)",
     "c(3, 4); f(3, 4), (4, 3), (0, 1), 'ortho'"},
    {"rfft2(input, s=None, dim=(-2, -1), norm=None)", "rfft2", Fourier::RealToHalf, false,
     "Compute ``rfftn`` over the last two dimensions.", "scipy.fft.rfft2(input, s, dim, norm)",
     "f(3, 4); f(3, 4), (4, 3), (0, 1), 'ortho'"},
    {"irfft2(input, s=None, dim=(-2, -1), norm=None)", "irfft2", Fourier::HalfToReal, true,
     "Compute ``irfftn`` over the last two dimensions.", "scipy.fft.irfft2(input, s, dim, norm)",
     "c(3, 4); c(3, 4), (4, 5), (0, 1), 'ortho'"},
    {"hfft2(input, s=None, dim=(-2, -1), norm=None)", "hfft2", Fourier::HalfToReal, false,
     "Compute ``hfftn`` over the last two dimensions.", "scipy.fft.hfft2(input, s, dim, norm)",
     "c(3, 4); c(3, 4), (4, 5), (0, 1), 'ortho'"},
    {"ihfft2(input, s=None, dim=(-2, -1), norm=None)", "ihfft2", Fourier::RealToHalf, true,
     "Compute ``ihfftn`` over the last two dimensions.", "scipy.fft.ihfft2(input, s, dim, norm)",
     "f(3, 4); f(3, 4), (4, 3), (0, 1), 'ortho'"},
};

using Norm = std::optional<std::string_view>;

template <const Transform (&all)[6], int i>
Tensor along_one(const Tensor& input, std::optional<int64_t> n, int64_t dim, Norm norm) {
  constexpr const Transform& t = all[i];
  if (n) require(*n > 0, "Invalid number of data points (", *n, ") specified");
  return fourier(t.name, t.kind, t.inverse, input, n ? OptionalDims(Shape{*n}) : std::nullopt, Shape{dim},
                 norm.value_or("backward"));
}
template <const Transform (&all)[6], int i>
Tensor over_several(const Tensor& input, const OptionalDims& s, const OptionalDims& dim, Norm norm) {
  constexpr const Transform& t = all[i];
  return fourier(t.name, t.kind, t.inverse, input, s, dim, norm.value_or("backward"));
}

template <const Transform (&all)[6], int i, auto function>
Operator operator_of() {
  constexpr const Transform& t = all[i];
  return Operator({.signature = t.signature,
                   .forms = kPrivate | kOut | kFloat32,
                   .doc = t.doc,
                   .forward = function,
                   .module = "flambeau.fft",
                   .reference = t.reference,
                   .samples = t.samples});
}
const Operator alongOne[] = {
    operator_of<kAlongOne, 0, along_one<kAlongOne, 0>>(), operator_of<kAlongOne, 1, along_one<kAlongOne, 1>>(),
    operator_of<kAlongOne, 2, along_one<kAlongOne, 2>>(), operator_of<kAlongOne, 3, along_one<kAlongOne, 3>>(),
    operator_of<kAlongOne, 4, along_one<kAlongOne, 4>>(), operator_of<kAlongOne, 5, along_one<kAlongOne, 5>>()};
const Operator overSeveral[] = {operator_of<kOverSeveral, 0, over_several<kOverSeveral, 0>>(),
                                operator_of<kOverSeveral, 1, over_several<kOverSeveral, 1>>(),
                                operator_of<kOverSeveral, 2, over_several<kOverSeveral, 2>>(),
                                operator_of<kOverSeveral, 3, over_several<kOverSeveral, 3>>(),
                                operator_of<kOverSeveral, 4, over_several<kOverSeveral, 4>>(),
                                operator_of<kOverSeveral, 5, over_several<kOverSeveral, 5>>()};
const Operator overTwo[] = {
    operator_of<kOverTwo, 0, over_several<kOverTwo, 0>>(), operator_of<kOverTwo, 1, over_several<kOverTwo, 1>>(),
    operator_of<kOverTwo, 2, over_several<kOverTwo, 2>>(), operator_of<kOverTwo, 3, over_several<kOverTwo, 3>>(),
    operator_of<kOverTwo, 4, over_several<kOverTwo, 4>>(), operator_of<kOverTwo, 5, over_several<kOverTwo, 5>>()};

const Operator fftshift_operator(
    {.signature = "fftshift(input, dim=None)",
     .forms = kPrivate,
     .doc = R"(Move the frequency zero to the middle along ``dim`` (default: all dimensions).

>>> flambeau.fft.fftshift(flambeau.tensor([0, 1, 2, -2, -1]))
tensor([-2, -1,  0,  1,  2]))",
     .forward = [](const Tensor& t, const OptionalDims& dim) { return shift_frequencies(t, dim, false); },
     .module = "flambeau.fft",
     .reference = "np.fft.fftshift(input, dim)",
     .samples = "f(5); f(3, 4), 1"});

const Operator ifftshift_operator({.signature = "ifftshift(input, dim=None)",
                                   .forms = kPrivate,
                                   .doc = "Apply the inverse of ``fftshift``.",
                                   .forward = [](const Tensor& t,
                                                 const OptionalDims& dim) { return shift_frequencies(t, dim, true); },
                                   .module = "flambeau.fft",
                                   .reference = "np.fft.ifftshift(input, dim)",
                                   .samples = "f(5); f(3, 4), 1"});

}  // namespace

}  // namespace flambeau
