// Fourier transforms, the functions of flambeau.fft; the module takes them from here (python/flambeau/fft.py).
#include "bind.h"
#include "flambeau/grids.h"

namespace flambeau::python {

namespace {

struct Transform {
  const char* name;
  Fourier kind;
  bool inverse;
  const char* doc;
};

constexpr Transform kAlongOne[] = {
    {"fft", Fourier::Complex, false,
     "The discrete Fourier transform along one dimension: ``X[k] = sum of x[j] exp(-2 pi i j k / n)``.\n\n"
     ">>> flambeau.fft.fft(flambeau.tensor([1.0, 0.0, 0.0, 0.0]))\n"
     "tensor([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])"},
    {"ifft", Fourier::Complex, true, "The inverse of ``fft``."},
    {"rfft", Fourier::RealToHalf, false,
     "The first n // 2 + 1 values of the transform of a real input; the others are their conjugates.\n\n"
     ">>> flambeau.fft.rfft(flambeau.tensor([1.0, 2.0, 1.0, 0.0])).shape\n"
     "flambeau.Size([3])"},
    {"irfft", Fourier::HalfToReal, true,
     "The inverse of ``rfft``: n real values, by default 2 * (input.size(dim) - 1) of them."},
    {"hfft", Fourier::HalfToReal, false,
     "The real spectrum of a signal that is Hermitian in time and given by its first half."},
    {"ihfft", Fourier::RealToHalf, true,
     "The inverse of ``hfft``: the first half of the Hermitian signal with a real spectrum."},
};
constexpr Transform kOverSeveral[] = {
    {"fftn", Fourier::Complex, false,
     "The discrete Fourier transform over ``dim``: all dimensions, or as many of the last ones as ``s`` has sizes."},
    {"ifftn", Fourier::Complex, true, "The inverse of ``fftn``."},
    {"rfftn", Fourier::RealToHalf, false, "``fftn`` of a real input, only its first half in the last of ``dim``."},
    {"irfftn", Fourier::HalfToReal, true, "The inverse of ``rfftn``."},
    {"hfftn", Fourier::HalfToReal, false,
     "The real spectrum over ``dim`` of a Hermitian signal, given by its first half in the last of them."},
    {"ihfftn", Fourier::RealToHalf, true, "The inverse of ``hfftn``."},
};
constexpr Transform kOverTwo[] = {
    {"fft2", Fourier::Complex, false, "``fftn`` over the last two dimensions."},
    {"ifft2", Fourier::Complex, true, "``ifftn`` over the last two dimensions."},
    {"rfft2", Fourier::RealToHalf, false, "``rfftn`` over the last two dimensions."},
    {"irfft2", Fourier::HalfToReal, true, "``irfftn`` over the last two dimensions."},
    {"hfft2", Fourier::HalfToReal, false, "``hfftn`` over the last two dimensions."},
    {"ihfft2", Fourier::RealToHalf, true, "``ihfftn`` over the last two dimensions."},
};

using Norm = std::optional<std::string_view>;

template <const Transform& t>
Tensor along_one(const Tensor& input, std::optional<int64_t> n, int64_t dim, Norm norm) {
  if (n) require(*n > 0, "Invalid number of data points (", *n, ") specified");
  return fourier(t.name, t.kind, t.inverse, input, n ? OptionalDims(Shape{*n}) : std::nullopt, Shape{dim},
                 norm.value_or("backward"));
}
template <const Transform& t>
Tensor over_several(const Tensor& input, const OptionalDims& s, const OptionalDims& dim, Norm norm) {
  return fourier(t.name, t.kind, t.inverse, input, s, dim, norm.value_or("backward"));
}

Binding* in_fft(Binding* binding) {
  binding->module = "flambeau.fft";
  return binding;
}

template <class Function>
void def_transform(const Transform& t, const char* arguments, Function function) {
  in_fft(def(std::string(t.name) + arguments, kPrivate | kOut | kFloat32, t.doc, function));
}

template <size_t... i>
void def_transforms(std::index_sequence<i...>) {
  (def_transform(kAlongOne[i], "(input, n=None, dim=-1, norm=None)", along_one<kAlongOne[i]>), ...);
  (def_transform(kOverSeveral[i], "(input, s=None, dim=None, norm=None)", over_several<kOverSeveral[i]>), ...);
  (def_transform(kOverTwo[i], "(input, s=None, dim=(-2, -1), norm=None)", over_several<kOverTwo[i]>), ...);
}

}  // namespace

void bind_fourier() {
  def_transforms(std::make_index_sequence<std::size(kAlongOne)>());
  in_fft(def("fftshift(input, dim=None)", kPrivate,
             "The zero frequency moved to the middle, along ``dim`` (all dimensions unless given).\n\n"
             ">>> flambeau.fft.fftshift(flambeau.tensor([0, 1, 2, -2, -1]))\ntensor([-2, -1,  0,  1,  2])",
             [](const Tensor& t, const OptionalDims& dim) { return shift_frequencies(t, dim, false); }));
  in_fft(def("ifftshift(input, dim=None)", kPrivate, "The inverse of ``fftshift``.",
             [](const Tensor& t, const OptionalDims& dim) { return shift_frequencies(t, dim, true); }));
}

}  // namespace flambeau::python
