// Note [Autocast]
#include "calls/autocast.h"

#include <algorithm>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "calls/bind.h"
#include "calls/dispatch.h"
#include "calls/intercept.h"
#include "calls/overrides.h"

namespace flambeau::python {

namespace {

constexpr const char* kDevices[] = {"cpu", "cuda"};
constexpr int kCpu = 0, kCuda = 1;

struct Cast {
  Tensor source, result;
  uint32_t version;  // version of the storage of `source` at the time of the cast
};

struct Region {
  bool enabled[2] = {false, false};
  Dtype dtype[2] = {Dtype::bfloat16, Dtype::float16};
  bool caching = true;
  bool suspended = false;  // true while an operator runs, so that the operators that it calls are not affected
  int depth = 0;
  std::unordered_map<const TensorImpl*, Cast> casts;
};
thread_local Region region;

// Returns the index in kDevices of the device type on which the current call runs. Note [Devices]
int kind() { return OnDevice::current() == DeviceType::Cuda ? kCuda : kCpu; }

bool eligible(const Tensor& t) { return is_floating(t.dtype()) && t.dtype() != Dtype::float64; }

bool is_parameter(const Tensor& t) {
  const TensorImpl& impl = *t.impl();
  return impl.requires_grad && !impl.dual && !impl.base && impl.autograd && !impl.autograd->grad_fn;
}

// Returns true if a cached cast is still valid, so that a new cast would have the same values and grad_fn.
bool current(const Cast& cast) {
  return cast.version == cast.source.storage().version() && (cast.result.requires_grad() || !recording_enabled()) &&
         (!cast.result.storage().inference() || inference_mode());
}

Tensor cast(const Tensor& t, Dtype dtype) {
  const bool is_cacheable = region.caching && region.depth > 0 && dtype == region.dtype[kind()] &&
                            t.dtype() == Dtype::float32 && is_parameter(t);
  if (!is_cacheable) return to(t, dtype);
  const auto found = region.casts.find(t.impl());
  if (found != region.casts.end() && current(found->second)) return found->second.result;
  const Cast made{t, to(t, dtype), t.storage().version()};
  region.casts.insert_or_assign(t.impl(), made);
  return made.result;
}

bool is_sequence_of_arguments(PyObject* o) { return PyTuple_CheckExact(o) || PyList_CheckExact(o); }

// Returns the argument or, if it contains tensors that have to be cast to the dtype, a copy with the cast tensors.
Object cast_argument(PyObject* o, Dtype dtype) {
  if (is_tensor(o)) {
    const Tensor& t = tensor_of(o);
    if (!eligible(t) || t.dtype() == dtype) return Object(Py_NewRef(o));
    const bool is_seen = dispatches(&o, 1) || in_mode();  // a trace records the cast
    if (is_seen) return Object(checked(PyObject_CallMethod(o, "to", "O", dtype_object(dtype))));
    return Object(checked(wrap_tensor(cast(t, dtype))));
  }
  if (!is_sequence_of_arguments(o)) return Object(Py_NewRef(o));
  const Object items = stable_items(o);
  const Py_ssize_t n = PySequence_Fast_GET_SIZE(items.get());
  bool holds = false;
  for (Py_ssize_t i = 0; i < n; ++i) holds |= is_tensor(PySequence_Fast_GET_ITEM(items.get(), i));
  if (!holds) return Object(Py_NewRef(o));
  Object out(checked(PyTuple_New(n)));
  for (Py_ssize_t i = 0; i < n; ++i)
    PyTuple_SET_ITEM(out.get(), i, cast_argument(PySequence_Fast_GET_ITEM(items.get(), i), dtype).release());
  return PyList_CheckExact(o) ? Object(checked(PySequence_List(out.get()))) : std::move(out);
}

void widen(Dtype& widest, PyObject* o) {
  if (is_tensor(o) && eligible(tensor_of(o)) && tensor_of(o).dtype() != widest) widest = Dtype::float32;
  if (!is_sequence_of_arguments(o)) return;
  const Object items = stable_items(o);
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.get()); ++i)
    if (PyObject* const item = PySequence_Fast_GET_ITEM(items.get(), i); is_tensor(item)) widen(widest, item);
}

Dtype wanted(int policy, PyObject* const* args, size_t count) {
  if (policy == kFloat32) return Dtype::float32;
  Dtype dtype = region.dtype[kind()];
  if (policy == kWidest)
    for (size_t i = 0; i < count; ++i) widen(dtype, args[i]);
  return dtype;
}

int device_of(std::string_view name) {
  for (int i = 0; i < 2; ++i)
    if (name == kDevices[i]) return i;
  detail::raise<Error>("unsupported autocast device type '", name, "': expected 'cpu' or 'cuda'");
}

bool set_enabled(std::string_view device, bool enabled) {
  const int i = device_of(device);
  interceptions += int(enabled) - int(region.enabled[i]);
  return std::exchange(region.enabled[i], enabled);
}

Dtype set_dtype(std::string_view device, Dtype dtype) {
  require(is_floating(dtype), "autocast: expected a floating-point dtype, got ", dtype);
  return std::exchange(region.dtype[device_of(device)], dtype);
}

// Adds 1 or -1 to the number of nested regions. Clears the cached casts when the outermost region ends.
int64_t change_depth(int64_t by) {
  region.depth += int(by);
  if (region.depth <= 0) region.casts.clear();
  return region.depth;
}

}  // namespace

namespace {

std::unordered_set<std::string_view> words(std::string_view text) {
  std::unordered_set<std::string_view> out;
  for (size_t end; !text.empty(); text.remove_prefix(std::min(end + 1, text.size()))) {
    end = std::min(text.find(' '), text.size());
    out.insert(text.substr(0, end));
  }
  return out;
}

// Returns true for operators that could overflow in float16, the usual autocast dtype on a GPU. They run in float32 on
// a GPU. The names are from PyTorch's list. The flag kFloat32 marks operators that run in float32 on every device.
bool needs_range(std::string_view name) {
  static const std::unordered_set<std::string_view> names = words(
      "acos asin cosh cosine_similarity cdist cumprod cumsum dist erfinv exp expm1 group_norm layer_norm "
      "log log10 log1p log2 log_softmax norm pdist pow prod reciprocal renorm rsqrt sinh softmax softplus "
      "sum tan l1_loss mse_loss nll_loss smooth_l1_loss cross_entropy kl_div hinge_embedding_loss "
      "cosine_embedding_loss margin_ranking_loss multi_margin_loss multilabel_margin_loss poisson_nll_loss "
      "soft_margin_loss triplet_margin_loss binary_cross_entropy_with_logits __pow__ __rpow__ __rtruediv__ "
      "special_softmax");
  return names.contains(name);
}

}  // namespace

SuspendAutocast::SuspendAutocast() : former(std::exchange(region.suspended, true)) {}
SuspendAutocast::~SuspendAutocast() { region.suspended = former; }

int autocast_policy(int flags, std::string_view name) {
  if (!region.enabled[kind()] || region.suspended) return 0;
  if (kind() == kCuda && needs_range(name)) return kFloat32;
  return flags & (kLowerPrecision | kFloat32 | kWidest);
}

bool in_autocast() { return (region.enabled[kCpu] || region.enabled[kCuda]) && !region.suspended; }

int64_t autocast_state() {
  int64_t state = 0;
  if (region.suspended) return state;
  for (int i = 0; i < 2; ++i) state = 256 * state + (region.enabled[i] ? 1 + int(region.dtype[i]) : 0);
  return state;
}

PyObject* call_autocast(PyObject* callable, int policy, PyObject* const* args, size_t count, PyObject* kwnames) {
  const size_t all = count + (kwnames ? size_t(PyTuple_GET_SIZE(kwnames)) : 0);
  const Dtype dtype = wanted(policy, args, all);
  SmallVector<PyObject*, 24> values;
  std::vector<Object> owned;
  owned.reserve(all);
  for (size_t i = 0; i < all; ++i) {
    owned.push_back(cast_argument(args[i], dtype));
    values.push_back(owned.back().get());
  }
  const SuspendAutocast inside;
  return PyObject_Vectorcall(callable, values.data(), count, kwnames);
}

void bind_autocast() {
  def("_set_autocast_enabled(device_type, enabled)", kPrivate,
      "Enable or disable autocast in this thread, and return the previous setting.", set_enabled);
  def("_is_autocast_enabled(device_type)", kPrivate, "Return True if autocast is enabled in this thread.",
      [](std::string_view device) { return region.enabled[device_of(device)]; });
  def("_autocast_state()", kPrivate,
      "Return a number that identifies the devices and dtypes for which autocast is enabled in this thread; 0 for "
      "none.",
      autocast_state);
  def("_set_autocast_dtype(device_type, dtype)", kPrivate,
      "Set the autocast dtype of this thread, and return the previous dtype.", set_dtype);
  def("_autocast_dtype(device_type)", kPrivate, "Return the autocast dtype of this thread.",
      [](std::string_view device) { return region.dtype[device_of(device)]; });
  def("_set_autocast_caching(enabled)", kPrivate,
      "Enable or disable the cache of casts in this thread, and return the previous setting.",
      [](bool enabled) { return std::exchange(region.caching, enabled); });
  def("_is_autocast_caching()", kPrivate, "Return True if the cache of casts is enabled in this thread.",
      [] { return region.caching; });
  def("_change_autocast_depth(by)", kPrivate, "Enter or leave a region, and return the number of nested regions.",
      change_depth);
  def("_clear_autocast_cache()", kPrivate, "Clear the cache of casts of this thread.", [] { region.casts.clear(); });
}

}  // namespace flambeau::python
