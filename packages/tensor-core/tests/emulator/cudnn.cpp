// The handle of cuDNN and its convolutions, of tensors that are all contiguous or all channels-last. Sums are computed
// in double precision.
#include "cudnn.h"

#include <cstdlib>
#include <vector>

using namespace emulated;

namespace {

using Operand = CudnnConvolution::Operand;
enum { kImage, kWeight, kOutput };

bool is_dense(const Operand& o, const std::array<size_t, 5>& order) {
  int64_t expected = 1;
  for (const size_t i : order) {
    if (o.size[i] > 1 && o.stride[i] != expected) return false;
    expected *= o.size[i];
  }
  return true;
}

using Index = std::array<int64_t, 5>;
int64_t offset(const Operand& o, const Index& index) {
  int64_t out = 0;
  for (size_t i = 0; i < index.size(); ++i) out += index[i] * o.stride[i];
  return out;
}
template <class F>
void each_index(const Index& size, F&& f) {
  Index i;
  for (i[0] = 0; i[0] < size[0]; ++i[0])
    for (i[1] = 0; i[1] < size[1]; ++i[1])
      for (i[2] = 0; i[2] < size[2]; ++i[2])
        for (i[3] = 0; i[3] < size[3]; ++i[3])
          for (i[4] = 0; i[4] < size[4]; ++i[4]) f(i);
}

// Calls f with the offsets of the elements of the image, the weight and the output, for each of their products.
template <class F>
void each_product(const CudnnConvolution& c, F&& f) {
  const auto& [image, weight, output] = c.operands;
  const int64_t channels = weight.size[1], filters = output.size[1] * channels / image.size[1];
  each_index(output.size, [&](const Index& to) {
    each_index({1, channels, weight.size[2], weight.size[3], weight.size[4]}, [&](Index tap) {
      tap[0] = to[1];
      Index from{to[0], to[1] / filters * channels + tap[1]};
      for (size_t i = 0; i < 3; ++i) {
        from[i + 2] = to[i + 2] * c.stride[i] + tap[i + 2] * c.dilation[i] - c.padding[i];
        if (from[i + 2] < 0 || from[i + 2] >= image.size[i + 2]) return;
      }
      f(std::array{offset(image, from), offset(weight, tap), offset(output, to)});
    });
  });
}

}  // namespace

bool CudnnConvolution::fits() const {
  const auto& [image, weight, output] = operands;
  bool contiguous = true, channels_last = image.element != Element::kReal64;
  for (const Operand& o : operands) {
    if (o.element != image.element) return false;
    contiguous &= is_dense(o, {4, 3, 2, 1, 0}), channels_last &= is_dense(o, {1, 4, 3, 2, 0});
  }
  if (!contiguous && !channels_last) return false;
  if ((sums == Element::kReal64) != (image.element == Element::kReal64)) return false;
  if (image.size[0] != output.size[0] || output.size[1] != weight.size[0] || image.size[1] % weight.size[1])
    return false;
  if (output.size[1] % (image.size[1] / weight.size[1])) return false;
  for (size_t i = 0; i < 3; ++i) {
    const int64_t reach = image.size[i + 2] + 2 * padding[i] - dilation[i] * (weight.size[i + 2] - 1) - 1;
    if (reach < 0 || reach / stride[i] + 1 != output.size[i + 2]) return false;
  }
  return true;
}

void CudnnConvolution::run(bool tf32) const {
  const Operand& made = operands[size_t(result)];
  const int one = (result + 1) % 3, two = (result + 2) % 3;
  const auto factor = [&](int operand, const std::array<int64_t, 3>& offsets) {
    const Operand& o = operands[size_t(operand)];
    const Number n = read(o.element, o.data, offsets[size_t(operand)]);
    return tf32 && o.element == Element::kReal32 ? in_tf32(n) : n;
  };
  int64_t count = 1;
  for (const int64_t n : made.size) count *= n;
  std::vector<Number> totals(static_cast<size_t>(count));
  each_product(*this, [&](const std::array<int64_t, 3>& offsets) {
    totals[size_t(offsets[size_t(result)])] += factor(one, offsets) * factor(two, offsets);
  });
  for (int64_t i = 0; i < count; ++i) {
    const Number before = beta == 0 ? 0.0 : beta * read(made.element, made.data, i);
    write(made.element, made.data, i, alpha * totals[size_t(i)] + before);
  }
}

Stream* emulated::cudnn_stream = nullptr;

EMULATED_API size_t cudnnGetVersion() {
  const char* version = std::getenv("FLAMBEAU_EMULATED_CUDNN");
  return version ? std::strtoull(version, nullptr, 10) : 91900;
}
EMULATED_API int cudnnCreate(int** handle) {
  EMULATED_CALL();
  static int library;
  *handle = &library;
  return kFine;
}
EMULATED_API int cudnnSetStream(int*, Stream* stream) {
  EMULATED_CALL();
  cudnn_stream = stream;
  return kFine;
}
