// Rows and copies on a GPU: a unit for each combination of operator and dtypes. Note [Units]
#include <algorithm>
#include <sstream>

#include "cuda/geometry.h"
#include "cuda/launch.h"
#include "cuda/operators.h"
#include "cuda/units.h"
#include "flambeau/operators.h"

namespace flambeau::cuda {

namespace {

enum Kernel { kVectors, kElements, kStrided };

// The row families, by operator.
const char* family_of(PointwiseOp op) {
  static const auto families = [] {
    std::array<const char*, kPointwiseCount> out{};
    const char* family = nullptr;
#define FLAMBEAU_ROW_OF_FAMILY(name, ...) out[size_t(PointwiseOp::name)] = family;
#define UNARY FLAMBEAU_ROW_OF_FAMILY
#define BINARY FLAMBEAU_ROW_OF_FAMILY
#define TERNARY FLAMBEAU_ROW_OF_FAMILY
#define FLAMBEAU_BEGIN_FAMILY(path) family = path;
#include "flambeau/pointwise.def"
#undef FLAMBEAU_BEGIN_FAMILY
#undef FLAMBEAU_ROW_OF_FAMILY
    return out;
  }();
  return families[size_t(op)];
}

constexpr int kCopy = kPointwiseCount;  // in place of an operator

struct Wanted {  // a unit
  int op, derivative, reads;
  Dtype in, out;
  int count;
  const Operand* operands;

  uint64_t key() const {
    uint64_t k = uint64_t(op) * 8 + uint64_t(derivative + 1);
    k = (k * 16 + uint64_t(in)) * 16 + uint64_t(out);
    for (int i = 0; i < count; ++i) k = k * 16 + (operands[i].tensor ? uint64_t(operands[i].tensor->dtype()) : 15);
    return k * 8 + uint64_t(count);
  }
  std::string name() const {
    return op == kCopy ? "copy" : std::string(pointwise_rows[op].name) + (derivative == kValue ? "" : "'s derivative");
  }
  std::string source() const {
    std::ostringstream text;
    if (op != kCopy) text << "#define FLAMBEAU_FAMILY \"" << family_of(PointwiseOp(op)) << "\"\n";
    text << "#include \"flambeau/device/pointwise.h\"\nFLAMBEAU_POINTWISE(";
    if (op == kCopy)
      text << "IDENTITY";
    else if (derivative == kValue)
      text << "VALUE(" << pointwise_rows[op].name << ")";
    else
      text << "DERIVATIVE(" << pointwise_rows[op].name << ", " << derivative << ", " << reads << ")";
    text << ", " << type_name(in) << ", " << type_name(out);
    for (int i = 0; i < count; ++i)
      text << ", " << (operands[i].tensor ? type_name(operands[i].tensor->dtype()) : "flambeau::cuda::Number");
    text << ")\n";
    return text.str();
  }
};
static_assert(kDtypeCount <= 15, "a dtype and Number fit four bits of a key");

Unit& unit_of(const Wanted& wanted) {
  static auto* units = new Units;
  return units->find(wanted.key(), [&] {
    return std::make_unique<Unit>(wanted.name(), wanted.source(),
                                  std::initializer_list<const char*>{"vectors", "elements", "strided"});
  });
}

void set_number(double (&parts)[2], Scalar value, Dtype in) {
  parts[0] = parts[1] = 0;
  if (is_inexact(in)) {
    parts[0] = value.real(), parts[1] = value.imaginary();
    return;
  }
  dispatch(in, [&](auto tag) {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_integral_v<T>) {
      const T v = value.to<T>();
      std::memcpy(&parts[0], &v, sizeof v);
    }
  });
}

// Every tensor side by side: `width` elements a thread.
void run_flat(int device, Unit& unit, const PointwiseArguments& a, int64_t largest) {
  bool aligned = true;
  for (char* pointer : a.pointers) aligned &= reinterpret_cast<uintptr_t>(pointer) % 16 == 0;
  const int64_t width = std::max<int64_t>(16 / largest, 1), blocks = divide_up(a.count, int64_t(kThreads) * width);
  launch(device, unit, aligned ? kVectors : kElements, {unsigned(blocks)}, kThreads, a);
}

void run_strided(int device, Unit& unit, PointwiseArguments a, const Layout& part) {
  a.count = part.count();
  a.dims = part.dims;
  for (int d = 0; d < part.dims; ++d) a.sizes[d] = Divider(uint32_t(part.size[d]));
  for (int k = 0; k < part.pointers; ++k) {
    a.pointers[k] += part.offset[k];
    std::copy_n(part.stride[k], part.dims, a.strides[k]);
  }
  launch(device, unit, kStrided, {unsigned(divide_up(a.count, kThreads))}, kThreads, a);
}

void run(const Wanted& wanted, const Tensor& out) {
  if (out.numel() == 0) return;
  const int device = out.device().index;
  PointwiseArguments a;
  a.count = out.numel();
  std::fill_n(a.pointers, kPointers, nullptr);
  a.pointers[0] = out.device_bytes();
  const Tensor* tensors[kPointers] = {&out};
  int64_t sizes[kPointers] = {item_size(out.dtype())}, largest = sizes[0];
  bool flat = out.is_contiguous();
  for (int k = 0; k < wanted.count; ++k) {
    const Operand& o = wanted.operands[k];
    if (!o.tensor) {
      set_number(a.numbers[k + 1], o.scalar, wanted.in);
      continue;
    }
    tensors[k + 1] = o.tensor;
    a.pointers[k + 1] = o.tensor->device_bytes();
    sizes[k + 1] = item_size(o.tensor->dtype());
    largest = std::max(largest, sizes[k + 1]);
    flat &= o.tensor->is_contiguous() && o.tensor->shape() == out.shape();
  }
  Unit& unit = unit_of(wanted);
  if (flat) return run_flat(device, unit, a, largest);
  each_part(layout_of(tensors, wanted.count + 1), [&](const Layout& part) { run_strided(device, unit, a, part); });
}

}  // namespace

void pointwise(PointwiseOp op, int derivative, const Tensor& out, Dtype, const Operand* operands, int count, Dtype in) {
  Operand own[kPointers] = {0, 0, 0, 0, 0, 0};  // tensors of the CPU, of one element, are numbers here
  for (int k = 0; k < count; ++k) {
    own[k] = operands[k];
    if (const Tensor* t = own[k].tensor; t && !t->is_cuda()) own[k] = Operand(flambeau::item(*t));
  }
  const int reads = derivative == kValue ? 0 : row_of(op).reads[derivative];
  run({int(op), derivative, reads, in, out.dtype(), count, own}, out);
}

void fill(const Tensor& t, Scalar value) {
  const Operand number(value);
  // As the dtype holds it: what is computed in loses nothing of that.
  const Dtype in = t.dtype() == Dtype::bool_                            ? Dtype::uint8
                   : is_floating(t.dtype()) && item_size(t.dtype()) < 4 ? Dtype::float32
                                                                        : t.dtype();
  run({kCopy, kValue, 0, in, t.dtype(), 1, &number}, t);
}

namespace {

// On one GPU.
void copy_there(const Tensor& to, const Tensor& from) {
  const int device = to.device().index;
  if (to.dtype() == from.dtype() && to.is_contiguous() && from.is_contiguous() && to.shape() == from.shape()) {
    check(activate(device).cuMemcpyDtoDAsync_v2(reinterpret_cast<DevicePointer>(to.device_bytes()),
                                                reinterpret_cast<DevicePointer>(from.device_bytes()),
                                                size_t(to.numel() * item_size(to.dtype())), current_stream(device)),
          "copying on the GPU");
    return;
  }
  const Operand source(from);
  run({kCopy, kValue, 0, from.dtype(), to.dtype(), 1, &source}, to);
}

size_t bytes_of(const Tensor& t) { return size_t(t.numel() * item_size(t.dtype())); }

// Contiguous, with the elements of `t` in another dtype, broadcast to a shape: itself where it is that already.
Tensor prepared(const Tensor& t, const Shape& shape, Dtype dtype) {
  if (t.is_contiguous() && t.dtype() == dtype && t.shape() == shape) return t;
  const OnDevice there(t.device());
  const Tensor out = empty(shape, dtype);
  copy_values(out, t);
  return out;
}

void from_host(const Tensor& to, const Tensor& from) {
  const Tensor source = prepared(from, to.shape(), to.dtype());
  if (!to.is_contiguous()) {
    const OnDevice there(to.device());
    const Tensor room = empty(to.shape(), to.dtype());
    from_host(room, source);
    return copy_there(to, room);
  }
  const int device = to.device().index;
  check(activate(device).cuMemcpyHtoDAsync_v2(reinterpret_cast<DevicePointer>(to.device_bytes()), source.bytes(),
                                              bytes_of(to), current_stream(device)),
        "copying to the GPU");
  // From memory that is not pinned the driver has taken the contents when it returns.
  if (is_pinned(source.storage()) && waits(source.storage())) synchronize(device, current_stream(device));
}

void to_host(const Tensor& to, const Tensor& from) {
  const Tensor source = prepared(from, to.shape(), to.dtype());
  if (!to.is_contiguous()) {
    const OnDevice cpu{DeviceType::Cpu};
    const Tensor room = empty(to.shape(), to.dtype());
    to_host(room, source);
    return copy_values(to, room);
  }
  const int device = from.device().index;
  check(activate(device).cuMemcpyDtoHAsync_v2(to.bytes(), reinterpret_cast<DevicePointer>(source.device_bytes()),
                                              bytes_of(to), current_stream(device)),
        "copying to the host");
  if (waits(to.storage())) synchronize(device, current_stream(device));
}

void between(const Tensor& to, const Tensor& from) {
  const Tensor source = prepared(from, to.shape(), to.dtype());
  if (!to.is_contiguous()) {
    const OnDevice there(to.device());
    const Tensor room = empty(to.shape(), to.dtype());
    between(room, source);
    return copy_there(to, room);
  }
  const int target = to.device().index, origin = from.device().index;
  synchronize(target, current_stream(target));  // what is to be overwritten may still be read there
  check(activate(origin).cuMemcpyPeerAsync(reinterpret_cast<DevicePointer>(to.device_bytes()), context_of(target),
                                           reinterpret_cast<DevicePointer>(source.device_bytes()), context_of(origin),
                                           bytes_of(to), current_stream(origin)),
        "copying from one GPU to another");
  synchronize(origin, current_stream(origin));
}

}  // namespace

bool copy(const Tensor& to, const Tensor& from) {
  if (on_host()) return false;
  if (from.is_cuda() && to.is_cuda())
    to.device() == from.device() ? copy_there(to, from) : between(to, from);
  else
    to.is_cuda() ? from_host(to, from) : to_host(to, from);
  return true;
}

Scalar item(const Tensor& t) {
  const OnDevice cpu{DeviceType::Cpu};
  const Tensor one = empty({}, t.dtype());
  to_host(one, t.dim() ? flambeau::view(alias(t), {}) : t);
  return flambeau::item(one);
}

}  // namespace flambeau::cuda
