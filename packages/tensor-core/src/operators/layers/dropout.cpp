// Dropout.
#include "cuda/random.h"
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"
#include "flambeau/parallel.h"
#include "kernels/table.h"
#include "kernels/twister_table.h"
#include "operators/random/pytorch_order.h"

namespace flambeau {

namespace {

// Note [Dropout]
// The mask is a function of seed, offset and element, so the derivative generates it again instead of saving it.
Tensor apply_mask(const Tensor& t, double p, const cuda::DrawPosition& drawn) {
  Tensor out;
  const double cut = p * 4294967296.0, scale = p < 1 ? 1 / (1 - p) : 0;
  const uint32_t threshold = cut >= 4294967295.0 ? 4294967295u : uint32_t(cut);
  if (cuda::runs_on_gpu(t)) {
    NoRecording off;
    out = empty(t.shape(), t.dtype());
    cuda::draw(cuda::Distribution::Dropout, out, contiguous(t), 1, drawn, {scale}, threshold, 0);
  } else {
    NoRecording off;
    const Dtype type = t.dtype() == Dtype::float64 ? Dtype::float64 : Dtype::float32;
    const Tensor x = contiguous(to(t, type));
    out = empty(t.shape(), type);
    constexpr int64_t kGroups = 16;  // number of groups of random words that are generated at a time
    const int64_t chunk = kGroups * kernels::kGroup, size = item_size(type),
                  chunks = t.is_meta() ? 0 : (t.numel() + chunk - 1) / chunk;
    const auto& table = kernels::table();
    parallel_items(chunks, 16, [&](int64_t begin, int64_t end) {
      alignas(64) uint32_t bits[kGroups * kernels::kGroup];
      for (int64_t i = begin; i < end; ++i) {
        table.random_bits(bits, kGroups, drawn.seed, drawn.offset + uint64_t(i * kGroups));
        table.dropout[type == Dtype::float64](out.bytes() + i * chunk * size, x.bytes() + i * chunk * size,
                                              std::min(chunk, t.numel() - i * chunk), threshold, scale, bits);
      }
    });
    out = to(out, t.dtype());
  }
  if (recording(t))
    record("Dropout", out, {&t}, {}, [p, drawn](const Context& c) { c.set(0, apply_mask(c.gradient(), p, drawn)); });
  return out;
}

// PyTorch's generators cannot generate the same mask again. Therefore the mask is saved, with one byte for each
// element, in the memory order of the input. As in PyTorch, the input is multiplied by 1 / (1 - p), rounded to its
// dtype, or by 0.
Tensor multiplied(const Tensor& t, double p, const Tensor& mask) {
  Tensor out;
  {
    NoRecording off;
    const bool in_double = t.dtype() == Dtype::float64;
    const Dtype type = in_double ? Dtype::float64 : Dtype::float32;
    const Tensor x = contiguous(to(t, type)), result = empty(t.shape(), type);
    double factor = in_double ? 1 / (1 - p) : double(1.0f / float(1 - p));
    if (t.dtype() != type)
      dispatch(t.dtype(), [&](auto tag) {
        factor = double(convert<float>(convert<typename decltype(tag)::type>(float(factor))));
      });
    const int64_t size = item_size(type);
    parallel_for(t.numel(), 16384, [&](int64_t begin, int64_t end) {
      kernels::twister_table().masked[in_double](result.bytes() + begin * size, x.bytes() + begin * size,
                                                 mask.data<uint8_t>() + begin, end - begin, factor);
    });
    out = to(result, t.dtype());
  }
  if (recording(t))
    record("Dropout", out, {&t}, {&mask}, [p](const Context& c) { c.set(0, multiplied(c.gradient(), p, c.saved(0))); });
  return out;
}

Tensor dropout_from_stream(const Tensor& input, double p, PyTorchStream& stream) {
  const Tensor mask = empty(input.shape(), Dtype::uint8);
  pytorch::fill_bernoulli(stream, mask, 1 - p);
  if (input.is_contiguous()) return multiplied(input, p, mask);
  const Shape order = pytorch::memory_order(input);
  Shape inverse(order.size());
  for (size_t i = 0; i < order.size(); ++i) inverse[size_t(order[i])] = int64_t(i);
  const Tensor in_order = permute(input, order);
  return permute(multiplied(in_order, p, view(mask, in_order.shape())), inverse);
}

}  // namespace

Tensor dropout(const Tensor& input, double p, bool training, Generator* generator) {
  require(p >= 0 && p <= 1, "dropout probability has to be between 0 and 1, but got ", p);
  if (is_complex(input.dtype()) && training && p > 0 && p < 1)  // one random number for both parts of a number
    return mul(input, dropout(full(input.shape(), Scalar(1), to_real(input.dtype())), p, true, generator));
  if (!training || p == 0) return input;
  require<NotImplementedError>(is_inexact(input.dtype()), "\"dropout\" not implemented for '", input.dtype(), "'");
  if (p == 1) return mul(input, 0.0);
  if (PyTorchStream* const stream = pytorch::stream_for(input, generator))
    return dropout_from_stream(input, p, *stream);
  constexpr int64_t kChunk = 16 * kernels::kGroup;
  const int64_t chunks = (input.numel() + kChunk - 1) / kChunk;
  return apply_mask(input, p, cuda::take_groups(generator, chunks * 16, input));
}

const Operator dropout_operator(
    {.signature = "dropout(input, p=0.5, training|train=True, *, generator=None)",
     .forms = kFunction,
     .doc =
         R"(Set elements to 0 with probability p, and divide the others by 1 - p. If not training, return input.

The mask is not saved, because the derivative generates it again. Gradient: input.)",
     .forward = dropout});

}  // namespace flambeau
