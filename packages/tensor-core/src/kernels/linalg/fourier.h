// Arguments of the Fourier kernels. Note [Fourier transforms]
#pragma once

#include <cstdint>

namespace flambeau::kernels {

// How one length is transformed: its factors, and exp(-2 pi i j / length) as pairs of numbers in the same precision.
struct FourierPlan {
  int64_t length;
  const int *factors, *factors_end;
  const void* roots;
};

// One side of a batch of transforms. Transform t begins at (t / inner) * outer + t % inner; its elements are `step`
// apart. In elements: complex ones, or real ones on a real side.
struct FourierSide {
  char* data;
  int64_t inner, outer, step;
};

enum class FourierKind : uint8_t { Complex, RealToHalf, HalfToReal };

struct FourierJob {
  FourierKind kind;
  FourierPlan plan;  // of the complex transform that is done: for an even real length, of half of it
  int64_t length;    // of the signal
  FourierSide in, out;
  bool inverse;  // exp(+2 pi i ...), without the factor 1 / length
  double scale;
  const void* roots = nullptr;  // exp(-2 pi i j / length), for what an even real length needs before or after
  // After the transform, element k of transform t is multiplied by exp(-2 pi i k t / twist): fine and coarse roots.
  int64_t twist = 0;
  const void *fine = nullptr, *coarse = nullptr;
  int fine_bits = 0;
};

}  // namespace flambeau::kernels
