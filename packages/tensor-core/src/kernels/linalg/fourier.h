// Arguments of the Fourier kernels. Note [Fourier transforms]
#pragma once

#include <cstdint>

namespace flambeau::kernels {

// Plan for one length: its factors, and the roots exp(-2 pi i j / length) as pairs of numbers in the precision of the
// transform.
struct FourierPlan {
  int64_t length;
  const int *factors, *factors_end;
  const void* roots;
};

// Input or output of a batch of transforms. Transform t begins at (t / inner) * outer + t % inner; its elements are
// `step` apart. Distances count complex numbers, or real numbers if the side is real.
struct FourierSide {
  char* data;
  int64_t inner, outer, step;
};

enum class FourierKind : uint8_t { Complex, RealToHalf, HalfToReal };

struct FourierJob {
  FourierKind kind;
  FourierPlan plan;  // plan of the complex transform; for real signals of even length, it has half the length
  int64_t length;    // length of the signal
  FourierSide in, out;
  bool inverse;  // true: exp(+2 pi i ...), without the factor 1 / length
  double scale;
  const void* roots = nullptr;  // exp(-2 pi i j / length), for the additional step of an even real length
  // If not 0, element k of transform t is multiplied by exp(-2 pi i j / twist), j = k t, after the transform. This
  // factor is fine[j % 2**fine_bits] * coarse[j / 2**fine_bits].
  int64_t twist = 0;
  const void *fine = nullptr, *coarse = nullptr;
  int fine_bits = 0;
  // For kernels that decompose each transform by itself: the plans of the two steps and the roots between them.
  // Note [Single transforms]
  FourierPlan columns = {}, rows = {};
  const void* twists = nullptr;
};

}  // namespace flambeau::kernels
