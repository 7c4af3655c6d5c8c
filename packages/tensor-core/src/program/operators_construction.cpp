// Fresh tensors, among them random ones. Where they are made: on the device that is named, or where the thread is set
// to make them.
#include "flambeau/grids.h"
#include "program/operators.h"

namespace flambeau::program {

namespace {

// make() on a device.
template <class F>
Tensor made_on(std::optional<Device> device, F&& make) {
  if (!device) return make();
  const OnDevice there(*device);
  return make();
}

template <class F>
Tensor made_like(const Tensor& t, std::optional<Dtype> dtype, std::optional<Device> device,
                 std::optional<MemoryFormat> format, F&& fill) {
  return made_on(device.value_or(t.device()), [&] {
    const Tensor out =
        empty_strided(t.shape(), strides_like(t, format.value_or(MemoryFormat::Preserve)), dtype.value_or(t.dtype()));
    fill(out);
    return out;
  });
}

using MaybeDtype = std::optional<Dtype>;
using MaybeDevice = std::optional<Device>;
using MaybeFormat = std::optional<MemoryFormat>;

Tensor drawn(const Shape& size, MaybeDtype dtype, MaybeDevice device, void (*fill)(const Tensor&)) {
  return made_on(device, [&] {
    const Tensor out = empty(size, dtype.value_or(default_dtype()));
    fill(out);
    return out;
  });
}
void uniform(const Tensor& t) { fill_uniform(t, 0, 1, nullptr); }
void normal(const Tensor& t) { fill_normal(t, 0, 1, nullptr); }

}  // namespace

Family construction_operators() {
  return {
      op("full",
         [](const Shape& size, Scalar value, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device, [&] { return full(size, value, dtype.value_or(default_dtype(value.kind()))); });
         }),
      op("zeros",
         [](const Shape& size, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device, [&] { return zeros(size, dtype.value_or(default_dtype())); });
         }),
      op("ones",
         [](const Shape& size, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device, [&] { return ones(size, dtype.value_or(default_dtype())); });
         }),
      op("empty",
         [](const Shape& size, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device, [&] { return empty(size, dtype.value_or(default_dtype())); });
         }),
      op("eye",
         [](int64_t n, std::optional<int64_t> m, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device, [&] { return eye(n, m.value_or(n), dtype.value_or(default_dtype())); });
         }),
      op("arange",
         [](Scalar start, std::optional<Scalar> end, Scalar step, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device, [&] { return arange(end ? start : Scalar(0), end.value_or(start), step, dtype); });
         }),
      op("linspace",
         [](Scalar start, Scalar end, int64_t steps, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device, [&] { return linspace(start, end, steps, dtype.value_or(default_dtype())); });
         }),
      op("scalar_tensor",
         [](Scalar value, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device, [&] { return full({}, value, dtype.value_or(default_dtype())); });
         }),
      op("empty_like", [](const Tensor& t, MaybeDtype dtype, MaybeDevice device,
                          MaybeFormat format) { return made_like(t, dtype, device, format, [](const Tensor&) {}); }),
      op("zeros_like",
         [](const Tensor& t, MaybeDtype dtype, MaybeDevice device, MaybeFormat format) {
           return made_like(t, dtype, device, format, [](const Tensor& out) { fill_(out, Scalar(0)); });
         }),
      op("ones_like",
         [](const Tensor& t, MaybeDtype dtype, MaybeDevice device, MaybeFormat format) {
           return made_like(t, dtype, device, format, [](const Tensor& out) { fill_(out, Scalar(1)); });
         }),
      op("full_like",
         [](const Tensor& t, Scalar value, MaybeDtype dtype, MaybeDevice device, MaybeFormat format) {
           return made_like(t, dtype, device, format, [&](const Tensor& out) { fill_(out, value); });
         }),
      op("new_empty",
         [](const Tensor& t, const Shape& size, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device.value_or(t.device()), [&] { return empty(size, dtype.value_or(t.dtype())); });
         }),
      op("new_zeros",
         [](const Tensor& t, const Shape& size, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device.value_or(t.device()), [&] { return zeros(size, dtype.value_or(t.dtype())); });
         }),
      op("new_ones",
         [](const Tensor& t, const Shape& size, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device.value_or(t.device()), [&] { return ones(size, dtype.value_or(t.dtype())); });
         }),
      op("new_full",
         [](const Tensor& t, const Shape& size, Scalar value, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device.value_or(t.device()), [&] { return full(size, value, dtype.value_or(t.dtype())); });
         }),
      op("rand",
         [](const Shape& size, MaybeDtype dtype, MaybeDevice device) { return drawn(size, dtype, device, uniform); }),
      op("randn",
         [](const Shape& size, MaybeDtype dtype, MaybeDevice device) { return drawn(size, dtype, device, normal); }),
      op("randint",
         [](int64_t low, int64_t high, const Shape& size, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device, [&] {
             const Tensor out = empty(size, dtype.value_or(Dtype::int64));
             fill_integers(out, low, high, nullptr);
             return out;
           });
         }),
      op("rand_like", [](const Tensor& t, MaybeDtype dtype, MaybeDevice device,
                         MaybeFormat format) { return made_like(t, dtype, device, format, uniform); }),
      op("randn_like", [](const Tensor& t, MaybeDtype dtype, MaybeDevice device,
                          MaybeFormat format) { return made_like(t, dtype, device, format, normal); }),
      op("randperm",
         [](int64_t n, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device, [&] { return random_permutation(n, dtype.value_or(Dtype::int64), nullptr); });
         }),
      op("tril_indices",
         [](int64_t rows, int64_t columns, int64_t offset, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device,
                          [&] { return triangle_indices(rows, columns, offset, true, dtype.value_or(Dtype::int64)); });
         }),
      op("triu_indices",
         [](int64_t rows, int64_t columns, int64_t offset, MaybeDtype dtype, MaybeDevice device) {
           return made_on(device,
                          [&] { return triangle_indices(rows, columns, offset, false, dtype.value_or(Dtype::int64)); });
         }),
  };
}

}  // namespace flambeau::program
