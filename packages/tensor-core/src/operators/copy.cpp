// Copies, conversions and fills.
#include "flambeau/operators.h"

#include <algorithm>
#include <cstring>

#include "flambeau/parallel.h"
#include "kernels/table.h"

namespace flambeau {

namespace {

// Casts go through the cast table: a "kernel" with one operand converted on the way in and the result on the way out
// would do it twice, so rows are walked here.
void copy_strided(const Tensor& to, const Tensor& from) {
  const auto cast = kernels::table().cast[int(to.dtype())][int(from.dtype())];
  const int64_t to_size = item_size(to.dtype()), from_size = item_size(from.dtype());
  if (to.is_contiguous() && from.is_contiguous() && to.shape() == from.shape()) {
    parallel_for(to.numel(), 65536, [&](int64_t begin, int64_t end) {
      char* out = to.bytes() + begin * to_size;
      const char* in = from.bytes() + begin * from_size;
      if (to.dtype() == from.dtype())
        std::memcpy(out, in, size_t((end - begin) * to_size));
      else
        cast(out, to_size, in, from_size, end - begin);
    });
    return;
  }
  // Dimensions merged where both allow it; then rows, tiled over the last two so that a transposition reads whole
  // lines.
  int64_t size[kMaxDims], to_stride[kMaxDims], from_stride[kMaxDims];
  int dims = 0;
  const size_t shift = to.shape().size() - from.shape().size();
  for (size_t i = 0; i < to.shape().size(); ++i) {
    const int64_t n = to.shape()[i];
    if (n == 1) continue;
    const int64_t ts = to.strides()[i] * to_size;
    const int64_t fs = i < shift || from.shape()[i - shift] == 1 ? 0 : from.strides()[i - shift] * from_size;
    const bool merge = dims > 0 && to_stride[dims - 1] == ts * n && from_stride[dims - 1] == fs * n;
    if (!merge) ++dims;
    size[dims - 1] = merge ? size[dims - 1] * n : n;
    to_stride[dims - 1] = ts;
    from_stride[dims - 1] = fs;
  }
  if (dims == 0) return cast(to.bytes(), to_size, from.bytes(), from_size, 1);
  const int64_t columns = size[dims - 1], rows = dims > 1 ? size[dims - 2] : 1;
  const int64_t column_to = to_stride[dims - 1], column_from = from_stride[dims - 1];
  const int64_t row_to = dims > 1 ? to_stride[dims - 2] : 0, row_from = dims > 1 ? from_stride[dims - 2] : 0;
  int64_t planes = 1;
  for (int d = 0; d < dims - 2; ++d) planes *= size[d];
  const bool transposes = dims > 1 && column_from != from_size && row_from < column_from && row_from > 0;
  const bool words = transposes && to.dtype() == from.dtype() && to_size == 4 && column_to == 4 && row_from == 4 &&
                     column_from % 4 == 0;
  constexpr int64_t kTile = 64;
  const int64_t row_blocks = transposes ? (rows + kTile - 1) / kTile : rows;
  const int64_t grain = std::max<int64_t>(1, 32768 / std::max<int64_t>(1, columns * (transposes ? kTile : 1)));
  parallel_items(planes * row_blocks, grain, [&](int64_t begin, int64_t end) {
    for (int64_t item = begin; item < end; ++item) {
      int64_t rest = item / row_blocks;
      char* out = to.bytes();
      const char* in = from.bytes();
      for (int d = dims - 3; d >= 0; --d) {
        out += rest % size[d] * to_stride[d];
        in += rest % size[d] * from_stride[d];
        rest /= size[d];
      }
      const int64_t block = item % row_blocks;
      if (!transposes) {
        cast(out + block * row_to, column_to, in + block * row_from, column_from, columns);
        continue;
      }
      const int64_t first = block * kTile, height = std::min(kTile, rows - first);
      if (words) {  // by way of a small square, since lines a power of two apart would push each other out of the cache
        alignas(64) char square[kTile * kTile * 4];
        for (int64_t j = 0; j < columns; j += kTile) {
          const int64_t width = std::min(kTile, columns - j);
          kernels::table().transpose_words(square, kTile, in + first * row_from + j * column_from, column_from / 4,
                                           width, height);
          for (int64_t i = 0; i < height; ++i)
            std::memcpy(out + (first + i) * row_to + j * column_to, square + i * kTile * 4, size_t(width * 4));
        }
        continue;
      }
      for (int64_t j = 0; j < columns; j += kTile)
        for (int64_t i = first; i < first + height; ++i)
          cast(out + i * row_to + j * column_to, column_to, in + i * row_from + j * column_from, column_from,
               std::min(kTile, columns - j));
    }
  });
}

bool may_overlap(const Tensor& a, const Tensor& b) {
  return a.impl()->storage.get() == b.impl()->storage.get() && a.numel() > 0;
}

}  // namespace

void copy_values(const Tensor& destination, const Tensor& source) {
  if (destination.numel() == 0) return;
  if (may_overlap(destination, source)) {
    if (destination.offset() == source.offset() && destination.strides() == source.strides() &&
        destination.dtype() == source.dtype() && destination.shape() == source.shape())
      return;
    Tensor copy = empty(source.shape(), source.dtype());
    copy_strided(copy, source);
    return copy_strided(destination, copy);
  }
  copy_strided(destination, source);
}

Tensor copy_(const Tensor& self, const Tensor& source) {
  require(broadcast(self.shape(), source.shape()) == self.shape(), "copy_: shape ", source.shape(),
          " cannot be broadcast to the destination's shape ", self.shape());
  begin_inplace(self, "copy_");
  copy_values(self, source);
  if (recording(self, source))
    record(
        "Copy", self, {&self, &source}, {},
        [](const Context& c) {
          if (c.needs(0)) c.set(0, zeros(c.gradient().shape(), c.gradient().dtype()));
          c.set(1, c.gradient());
        },
        Recording::kInPlace);
  return self;
}

Tensor fill_(const Tensor& self, Scalar value) {
  require(fits(value, self.dtype()), "value ", value, " cannot be converted to type ", self.dtype(),
          " without overflow");
  begin_inplace(self, "fill_");
  dispatch_all(self.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    const T v = value.to<T>();
    if (self.is_contiguous()) {
      parallel_for(self.numel(), 65536,
                   [&](int64_t begin, int64_t end) { std::fill(self.data<T>() + begin, self.data<T>() + end, v); });
    } else {
      Tensor one = scalar_tensor(value, self.dtype());
      copy_strided(self, one);
    }
  });
  forget_history(self, "Fill");
  return self;
}

Tensor to(const Tensor& t, Dtype dtype) {
  if (t.dtype() == dtype) return t;
  Tensor out = empty(t.shape(), dtype);
  copy_values(out, t);
  if (is_inexact(dtype) && recording(t))
    record("ToCopy", out, {&t}, {}, [](const Context& c) { c.set(0, c.gradient()); });
  return out;
}

Tensor clone(const Tensor& t) {
  Tensor out = empty(t.shape(), t.dtype());
  copy_values(out, t);
  if (recording(t)) record("Clone", out, {&t}, {}, [](const Context& c) { c.set(0, c.gradient()); });
  return out;
}

Tensor contiguous(const Tensor& t) { return t.is_contiguous() ? t : clone(t); }

Tensor detach(const Tensor& t) { return alias(t); }

namespace {

// Whether the elements fill a range of memory without gaps, each its own place.
bool is_dense(const Tensor& t) {
  if (t.is_contiguous()) return true;
  Shape order(t.shape().size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = int64_t(i);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return t.strides()[a] < t.strides()[b]; });
  int64_t expected = 1;
  for (int64_t d : order) {
    if (t.shape()[d] == 1) continue;
    if (t.strides()[d] != expected) return false;
    expected *= t.shape()[d];
  }
  return true;
}

}  // namespace

void refuse_overlap(const Tensor& written, const Tensor& read, bool partly) {
  if (!read.defined() || !may_overlap(written, read) || read.numel() == 0) return;
  if (!is_dense(written) || !is_dense(read)) return;
  const char *first = written.bytes(), *second = read.bytes();
  const char *end = first + written.numel() * item_size(written.dtype()),
             *other_end = second + read.numel() * item_size(read.dtype());
  const bool same = first == second && end == other_end && written.strides() == read.strides();
  require(end <= second || other_end <= first || (partly && same),
          "unsupported operation: some elements of the input tensor and the written-to tensor refer to a single memory "
          "location. Please clone() the tensor before performing the operation.");
}

void resize(const Tensor& t, const Shape& shape) {
  TensorImpl& impl = *t.impl();
  if (impl.shape == shape) return;
  require(impl.storage->writable(), "out: the tensor's memory is read-only; it cannot be resized to ", shape);
  int64_t bytes = item_size(impl.dtype);
  bool overflow = false;
  for (int64_t s : shape) overflow |= __builtin_mul_overflow(bytes, s, &bytes);
  if (overflow || bytes > int64_t(impl.storage->bytes()) - impl.offset * item_size(impl.dtype)) {
    impl.storage = empty(shape, impl.dtype).impl()->storage;
    impl.offset = 0;
  }
  impl.shape = shape;
  impl.strides = contiguous_strides(shape);
  impl.update_geometry();
}

void forget_history(const Tensor& self, const char* name) {
  if (recording(self))
    record(
        name, self, {&self}, {}, [](const Context& c) { c.set(0, zeros(c.gradient().shape(), c.gradient().dtype())); },
        Recording::kInPlace);
}

void adopt_history(const Tensor& self, const Tensor& result) {
  if (result.requires_grad() && grad_enabled())
    record("Identity", self, {&result}, {}, [](const Context& c) { c.set(0, c.gradient()); }, Recording::kInPlace);
}

}  // namespace flambeau
