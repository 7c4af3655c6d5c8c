// Creation and destruction of tensors (TensorImpl), and the basic constructors.
#include "flambeau/tensor.h"
#include "flambeau/kept_values.h"

#include <algorithm>
#include <new>

#include "core/device_memory.h"
#include "core/in_place.h"
#include "flambeau/autograd.h"
#include "flambeau/copies.h"
#include "flambeau/dispatched_gradients.h"
#include "flambeau/interpreter.h"
#include "flambeau/training_hooks.h"

namespace flambeau {

const AutogradHooks* autograd_hooks = nullptr;
const TrainingHooks* training_hooks = nullptr;
const DispatchedGradients* dispatched_gradients = nullptr;
DeviceMemory device_memory;
struct PythonInterface;
FLAMBEAU_API extern const PythonInterface* python_interface;
const PythonInterface* python_interface = nullptr;  // declared in python.h; set by the extension module
struct PythonAutogradHooks;
FLAMBEAU_API extern const PythonAutogradHooks* python_autograd_hooks;
const PythonAutogradHooks* python_autograd_hooks = nullptr;  // declared in python.h; set by flambeau.autograd

namespace {
thread_local uint8_t modes_of_thread FLAMBEAU_INITIAL_EXEC = modes::kGraph;
thread_local Dtype default_type FLAMBEAU_INITIAL_EXEC = Dtype::float32;
}  // namespace

uint8_t recording_modes() { return modes_of_thread; }
void set_recording_modes(uint8_t modes) { modes_of_thread = modes; }
void set_grad_mode(bool enabled) {
  const uint8_t mode = inference_mode() ? modes::kSuspended : modes::kGraph;
  set_recording_modes(uint8_t((recording_modes() & modes::kTangents) | (enabled ? mode : 0)));
}
Dtype default_dtype() { return default_type; }
void set_default_dtype(Dtype d) {
  require<TypeError>(is_floating(d), "only floating-point types are supported as the default type, got ", d);
  default_type = d;
}

TensorImpl* TensorImpl::create() { return new (allocate(sizeof(TensorImpl))) TensorImpl; }

TensorImpl::~TensorImpl() {
  if (!autograd) return;
  if (autograd_hooks) autograd_hooks->forget_meta(*autograd);
  autograd->~AutogradMeta();
  deallocate(autograd, sizeof(AutogradMeta));
}

AutogradMeta& meta_of(const Tensor& t) {
  AutogradMeta*& meta = t.impl()->autograd;
  if (!meta) meta = new (allocate(sizeof(AutogradMeta))) AutogradMeta;
  return *meta;
}

void assign_gradient(const Tensor& t, const Tensor& gradient) {
  if (!gradient.defined()) {
    if (AutogradMeta* const meta = t.impl()->autograd) meta->grad = Tensor();
    return;
  }
  require(gradient.shape() == t.shape(), "assigned grad has data of a different size: the tensor has shape ", t.shape(),
          ", the grad ", gradient.shape());
  require(gradient.dtype() == t.dtype(), "assigned grad has data of a different type: the tensor is ", t.dtype(),
          ", the grad ", gradient.dtype());
  require(!gradient.same(t), "can't assign Variable as its own grad");
  meta_of(t).grad = gradient;
}

void TensorImpl::destroy() {
  Tensor grad = autograd ? std::move(autograd->grad) : Tensor();
  this->~TensorImpl();
  deallocate(this, sizeof(TensorImpl));
  // Gradients of gradients are freed in a loop instead of by recursion.
  while (grad.defined() && grad.impl()->use_count() == 1) {
    AutogradMeta* meta = grad.impl()->autograd;
    grad = meta ? std::move(meta->grad) : Tensor();
  }
}

void TensorImpl::update_geometry() {
  require(shape.size() <= size_t(kMaxDims), "a tensor has at most ", kMaxDims, " dimensions, got ", shape.size());
  int64_t expected = 1;
  bool empty = false, overflow = false;
  contiguous = true;
  for (size_t i = shape.size(); i-- > 0;) {
    if (shape[i] != 1 && strides[i] != expected) contiguous = false;
    empty |= shape[i] == 0;
    overflow |= __builtin_mul_overflow(expected, shape[i], &expected);
  }
  require(empty || !overflow, "numel: integer multiplication overflow, of the sizes ", shape);
  numel = empty ? 0 : expected;
  if (empty) contiguous = true;
}

Shape contiguous_strides(const Shape& shape) {
  Shape strides(shape.size());
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 0;) {
    strides[i] = step;
    step *= shape[i] > 1 ? shape[i] : 1;
  }
  return strides;
}

Shape broadcast(const Shape& a, const Shape& b) {
  if (a == b) return a;
  const Shape &longer = a.size() >= b.size() ? a : b, &shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  const size_t shift = longer.size() - shorter.size();
  for (size_t i = shorter.size(); i-- > 0;) {
    const int64_t x = longer[shift + i], y = shorter[i];
    require(x == y || x == 1 || y == 1, "The size of tensor a (", a.size() >= b.size() ? x : y,
            ") must match the size of tensor b (", a.size() >= b.size() ? y : x, ") at non-singleton dimension ",
            shift + i, ": shapes ", a, " and ", b, " do not broadcast");
    out[shift + i] = x == 1 ? y : x;
  }
  return out;
}

namespace {

// Checks that the strides of a tensor without elements do not overflow.
void check_strides(const Shape& shape) {
  int64_t step = 1;
  for (size_t i = shape.size(); i-- > 1;)
    require(!__builtin_mul_overflow(step, std::max<int64_t>(shape[i], 1), &step),
            "Stride calculation overflowed for the shape ", shape);
}

int64_t checked_bytes(const Shape& shape, Dtype dtype) {
  require(int(shape.size()) <= kMaxDims, "a tensor has at most ", kMaxDims, " dimensions, got ", shape.size());
  int64_t bytes = item_size(dtype);
  bool empty = false, overflow = false;
  for (int64_t s : shape) {
    require(s >= 0, "Trying to create tensor with negative dimension ", s, ": ", shape);
    empty |= s == 0;
    overflow |= __builtin_mul_overflow(bytes, s, &bytes);
  }
  if (empty) return check_strides(shape), 0;
  require(!overflow && bytes < int64_t(1) << 60, "Storage size calculation overflowed with sizes=", shape);
  return bytes;
}

Ref<Storage> create_storage(const Shape& shape, Dtype dtype, int64_t bytes) {
  try {
    return Storage::create(size_t(bytes));
  } catch (HostMemoryError& error) {
    std::ostringstream text;
    text << " for a tensor of shape " << shape << " and dtype flambeau." << dtype;
    error.append(text.str());
    throw;
  }
}

}  // namespace

Tensor empty(const Shape& shape, Dtype dtype) {
  const int64_t bytes = checked_bytes(shape, dtype);
  Ref<Storage> storage = create_storage(shape, dtype, bytes);
  TensorImpl* impl = TensorImpl::create();
  impl->storage = std::move(storage);
  impl->dtype = dtype;
  impl->shape = shape;
  impl->strides = contiguous_strides(shape);
  impl->numel = bytes / item_size(dtype);
  return Tensor(Ref<TensorImpl>::adopt(impl));
}

namespace {

// Converts without recording.
Tensor converted(const Tensor& t, Dtype dtype) {
  const OnDevice scope(t.device());
  const Tensor out = empty(t.shape(), dtype);
  copy_values(out, t);
  return out;
}

}  // namespace

Tensor scalar_tensor(Scalar value, Dtype dtype) {
  if (is_small_float(dtype)) return converted(scalar_tensor(value, Dtype::float32), dtype);
  const OnDevice cpu(DeviceType::Cpu);  // operators accept such a tensor next to tensors on any device
  Tensor t = empty({}, dtype);
  dispatch_all(dtype, [&](auto tag) {
    using T = typename decltype(tag)::type;
    *t.data<T>() = value.to<T>();
  });
  return t;
}

Tensor wrapped_number(Scalar value) {
  constexpr Dtype types[] = {Dtype::bool_, Dtype::int64, Dtype::float64, Dtype::complex128};
  Tensor t = scalar_tensor(value, value.wide() ? Dtype::uint64 : types[static_cast<int>(value.kind())]);
  t.impl()->wrapped_number = true;
  return t;
}

Tensor from_storage(Ref<Storage> storage, const Shape& shape, const Shape& strides, int64_t offset, Dtype dtype) {
  TensorImpl* impl = TensorImpl::create();
  impl->storage = std::move(storage);
  impl->dtype = dtype;
  impl->shape = shape;
  impl->strides = strides;
  impl->offset = offset;
  Tensor t{Ref<TensorImpl>::adopt(impl)};  // ownership is taken before the following code may throw
  impl->update_geometry();
  return t;
}

Tensor alias(const Tensor& t) { return from_storage(t.impl()->storage, t.shape(), t.strides(), t.offset(), t.dtype()); }

Scalar item(const Tensor& t) {
  require(t.numel() == 1, "a Tensor with ", t.numel(), " elements cannot be converted to Scalar (its shape is ",
          t.shape(), "); select one element by index, or use tolist()");
  if (FLAMBEAU_UNLIKELY(t.is_cuda()))
    if (const std::optional<Scalar> value = device_memory.item(t)) return *value;
  if (is_small_float(t.dtype())) return item(converted(t, Dtype::float32));
  return dispatch_all(t.dtype(), [&](auto tag) -> Scalar {
    using T = typename decltype(tag)::type;
    if constexpr (std::is_same_v<T, bool>)
      return Scalar(*t.data<uint8_t>() != 0);
    else if constexpr (std::is_same_v<T, uint64_t>)
      return Scalar(*t.data<T>());
    else if constexpr (std::is_integral_v<T>)
      return Scalar(int64_t(*t.data<T>()));
    else if constexpr (is_complex_type<T>)
      return Scalar(convert<Complex<double>>(*t.data<T>()));
    else
      return Scalar(convert<double>(*t.data<T>()));
  });
}

bool is_expanded(const Tensor& t) {
  for (int i = 0; i < t.dim(); ++i)
    if (t.strides()[i] == 0 && t.shape()[i] > 1) return t.numel() > 0;
  return false;
}

namespace {

constexpr const char kInferenceWrite[] =
    "Inplace update to inference tensor outside InferenceMode is not allowed. You can make a clone to get a normal "
    "tensor before doing inplace update.";
constexpr const char kSeveralViews[] =
    " is a view and is being modified inplace. This view is the output of a function that returns multiple views. Such "
    "functions do not allow the output views to be modified inplace. You should replace the inplace operation by an "
    "out-of-place one.";
constexpr const char kFunctionView[] =
    " is a view and is being modified inplace. This view was created inside a custom Function (or because an input was "
    "returned as-is) and the autograd logic to handle view+inplace would override the custom backward associated with "
    "the custom Function, leading to incorrect gradients. This behavior is forbidden. You can fix this by cloning the "
    "output of the custom Function.";

void check_overlap(const Tensor& self) {
  require(!is_expanded(self),
          "unsupported operation: more than one element of the written-to tensor refers to a single memory location "
          "(shape ",
          self.shape(), ", strides ", self.strides(), "). Please clone() the tensor before performing the operation.");
}

// Raises the error for a view that was created with grad mode off, or for a view of a view that was created in this
// way.
void reject_unrecorded_view(const Tensor& view) {
  const bool inference = view.impl()->view_kind == ViewKind::Inference;
  const AutogradMeta* meta = view.impl()->autograd;
  std::ostringstream which;
  if (meta && meta->grad_fn)
    which << "Output " << meta->output_index << " of " << meta->grad_fn->name()
          << " is a view of a view which was created in ";
  else
    which << "A view was created in ";
  const char* block = inference ? "inference_mode" : "no_grad";
  require(
      false, which.str(), inference ? "inference" : "no_grad", " mode and is being modified inplace ",
      inference ? "in normal mode" : "with grad mode enabled",
      ". Given that this use case is ambiguous and error-prone, it is forbidden. You can clarify your code by moving "
      "both the view and the inplace either both inside the ",
      block,
      " block (if you don't want the inplace to be tracked) or both outside (if you want the inplace to be tracked).");
}

// Raises an error if changes of a view cannot be recorded as changes of its base.
void check_view(const Tensor& view, const TensorImpl& base, const char* operation) {
  const AutogradMeta* meta = view.impl()->autograd;
  const bool known = meta && meta->grad_fn;
  auto reject = [&](const char* why) {
    require(false, "Output ", known ? meta->output_index : 0, " of ", known ? meta->grad_fn->name() : operation, why);
  };
  switch (view.impl()->view_kind) {
    case ViewKind::Recorded:
      break;
    case ViewKind::OneOfSeveral:
      return reject(kSeveralViews);
    case ViewKind::OfFunction:
      return reject(kFunctionView);
    case ViewKind::NoGrad:
    case ViewKind::Inference:
      return reject_unrecorded_view(view);
  }
  const bool base_is_leaf = !base.autograd || !base.autograd->grad_fn;
  require(!base_is_leaf || !(base.requires_grad || view.impl()->requires_grad),
          "a view of a leaf Variable that requires grad is being used in an in-place operation (", operation,
          " on a tensor of shape ", view.shape(), "); do it under no_grad(), or on a clone()");
}

void check_recorded_change(const Tensor& self, const char* operation, bool recorded) {
  if (!grad_enabled()) return;
  const TensorImpl &impl = *self.impl(), *base = impl.base.get();
  if (base && (base->requires_grad || impl.requires_grad || recorded)) check_view(self, *base, operation);
  require(!impl.requires_grad || impl.autograd->grad_fn,
          "a leaf Variable that requires grad is being used in an in-place operation (", operation,
          " on a tensor of shape ", self.shape(), "); do it under no_grad(), or on a clone()");
}

}  // namespace

void (*change_observer)(const Tensor& self) = nullptr;

namespace {

void begin_write(const Tensor& self, const char* operation, bool recorded, bool may_overlap) {
  Storage& storage = self.storage();
  require(storage.writable(), operation,
          ": the tensor's memory is read-only (it was made from a read-only buffer); clone() it first");
  if (!may_overlap) check_overlap(self);
  if (FLAMBEAU_UNLIKELY(storage.inference())) {
    require(inference_mode(), kInferenceWrite);
    return;
  }
  const TensorImpl &impl = *self.impl(), *base = impl.base.get();
  check_recorded_change(self, operation, recorded);
  if (FLAMBEAU_UNLIKELY(change_observer)) change_observer(self);
  if (impl.counts_changes && (!base || base->counts_changes))
    storage.bump_version();
  else
    count_uncounted_change();
}

}  // namespace

void begin_inplace(const Tensor& self, const char* operation, bool recorded) {
  begin_write(self, operation, recorded, false);
}

void begin_view_change(const Tensor& self) {
  require(!self.storage().inference() || inference_mode(), kInferenceWrite);
  check_recorded_change(self, "a change of the shape", self.requires_grad());
}

bool warn_if_expanded(const Tensor& self, const char* operation, const char* assignment) {
  const bool expanded = is_expanded(self);
  if (FLAMBEAU_UNLIKELY(expanded))
    warn(std::string("Use of ") + operation +
         " on expanded tensors is deprecated. Please clone() the tensor before performing this operation. This also "
         "applies to advanced indexing e.g. " +
         assignment);
  return expanded;
}

void begin_overlapping_change(const Tensor& self, const char* operation, bool recorded) {
  begin_write(self, operation, recorded, true);
}

void begin_fill(const Tensor& self, const char* operation) { begin_write(self, operation, false, true); }

uint64_t library_memory_layout() { return memory_layout(); }

}  // namespace flambeau
