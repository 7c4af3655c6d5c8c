// Nodes: making, saving, dropping.
#include "node.h"

#include <mutex>
#include <optional>
#include <unordered_map>

#include "flambeau/interpreter.h"
#include "forward_mode.h"

namespace flambeau::autograd {

namespace {

uint64_t next_sequence = 0;  // under the interpreter's lock

int64_t next_callback = 0;
std::unordered_map<int64_t, CallbackOwner*>& callback_owners() {
  static auto* owners = new std::unordered_map<int64_t, CallbackOwner*>;
  return *owners;
}

void drop(Callbacks& callbacks) {
  const Callbacks dropped = std::move(callbacks);
  callbacks.clear();
  for (const Callback& c : dropped) callback_owners().erase(c.id);
  for (const Callback& c : dropped) Py_DECREF(c.function);
}

bool take_off(Callbacks& callbacks, int64_t id) {
  for (size_t i = 0; i < callbacks.size(); ++i)
    if (callbacks[i].id == id) {
      PyObject* function = callbacks[i].function;
      callbacks.erase(callbacks.begin() + std::ptrdiff_t(i));
      Py_DECREF(function);
      return true;
    }
  return false;
}

int visit(const Callbacks& callbacks, VisitObject visit_one, void* argument) {
  for (const Callback& c : callbacks)
    if (const int stop = visit_one(c.function, argument)) return stop;
  return 0;
}

// What a tensor was computed by, if nothing else can reach it.
const Node* owned_node(const AutogradMeta& meta) {
  const Node* node = static_cast<Node*>(meta.grad_fn.get());
  return node && node->use_count() == 1 ? node : nullptr;
}

}  // namespace

int64_t add_callback(CallbackOwner& owner, Callbacks& callbacks, PyObject* function) {
  Py_INCREF(function);
  callbacks.push_back({next_callback, function});
  callback_owners()[next_callback] = &owner;
  return next_callback++;
}
void remove_callback(int64_t id) {
  const auto at = callback_owners().find(id);
  if (at == callback_owners().end()) return;
  CallbackOwner* owner = at->second;
  callback_owners().erase(at);
  owner->remove(id);
}
void NodeHooks::remove(int64_t id) {
  for (Callbacks& c : gradient)
    if (take_off(c, id)) return;
  take_off(pre, id) || take_off(post, id);
}
void LeafHooks::remove(int64_t id) { take_off(gradient, id) || take_off(post_accumulate, id); }

NodeHooks::~NodeHooks() { drop_callbacks(); }
void NodeHooks::drop_callbacks() {
  for (Callbacks& c : gradient) drop(c);
  drop(pre);
  drop(post);
  Py_CLEAR(metadata);
}
LeafHooks::~LeafHooks() { drop_callbacks(); }
void LeafHooks::drop_callbacks() {
  drop(gradient);
  drop(post_accumulate);
}

const char* Node::name() const {
  if (name_.empty()) name_ = std::string(operator_name_) + "Backward0";
  return name_.c_str();
}
std::ostream& operator<<(std::ostream& out, const Node& node) { return out << node.name(); }

void Node::take_number() {
  sequence = ++next_sequence;
  if (FLAMBEAU_UNLIKELY(anomaly_mode)) remember_call(*this);
}

// Dropping a node drops the nodes it leads to: by a list instead of by recursion, so that a chain of a million nodes
// goes on any stack.
void Node::destroy() {
  static thread_local std::vector<Node*>* dying = nullptr;
  if (dying) {
    dying->push_back(this);
    return;
  }
  std::vector<Node*> list{this};
  dying = &list;
  while (!list.empty()) {
    Node* node = list.back();
    list.pop_back();
    const size_t size = node->bytes();
    node->~Node();
    deallocate(node, size);
  }
  dying = nullptr;
}

namespace {

constexpr const char kInferenceSaved[] =
    "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
    "computation "
    "tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in autograd, or "
    "use `flambeau.no_grad()` instead of `flambeau.inference_mode()`.";
const std::string kAnomalyHint =
    " Hint: enable anomaly detection to find where it was called, with autograd.set_detect_anomaly(True).";

// A number that is another for another shape or dtype. Assigning to .data and resize_ change these, and a derivative
// relies on them.
uint64_t geometry_of(const Tensor& t) {
  constexpr uint64_t kSpread = 0x9e3779b97f4a7c15u;
  uint64_t h = (uint64_t(t.dtype()) + 1) * kSpread;  // a difference in dtype is not one that sizes can have
  for (int64_t size : t.shape()) {
    h = (h ^ uint64_t(size)) * kSpread;
    h ^= h >> 29;
  }
  return h;
}

}  // namespace

void OperatorNode::save(const Tensor& t, int output) {
  if (!t.defined()) return saved_.push_back({t, 0, -1, 0, nullptr});
  require(!t.storage().inference(), kInferenceSaved);
  // Assigning to an index tensor's .data is not to bring in places that nobody has checked.
  const bool apart = output >= 0 || !is_inexact(t.dtype());
  saved_.push_back({apart ? alias(t) : t, t.storage().version(), output, geometry_of(t), nullptr});
  if (FLAMBEAU_UNLIKELY(hooked_threads)) pack(saved_.back(), t);
}

int64_t OperatorNode::saved_bytes() const {
  int64_t total = 0;
  for (const SavedTensor& s : saved_)
    if (s.tensor.defined()) total += s.tensor.numel() * item_size(s.tensor.dtype());
  return total;
}

void OperatorNode::release_saved() {
  if (saved_.empty() && !holds_tensors_) return;
  released_ = true;
  saved_.clear();
  if (!applying_) derivative_.reset();
}

void OperatorNode::share_tangents(const Tensor* const* outputs) {
  for (const SavedTensor& s : saved_)
    if (s.output >= 0 && s.tensor.defined()) copy_tangents(*outputs[s.output], s.tensor);
}

namespace {

[[noreturn, gnu::cold]] void refuse_changed(const OperatorNode& node, const SavedTensor& s, size_t i) {
  require(false,
          "one of the variables needed for gradient computation has been modified by an inplace operation: [flambeau.",
          s.tensor.dtype(), " ", s.tensor.shape(), "], which ", node, " saved (",
          s.output >= 0 ? "its output " : "its saved tensor ", s.output >= 0 ? size_t(s.output) : i,
          "), is at version ", s.tensor.storage().version(), "; expected version ", s.version,
          " instead. Use the out-of-place form of the operation that changed it, or change a clone().",
          anomaly_mode ? call_text(node) : kAnomalyHint);
  __builtin_unreachable();
}

}  // namespace

Tensor OperatorNode::unpack(size_t i) {
  const SavedTensor& s = saved_[i];
  if (FLAMBEAU_UNLIKELY(s.packed != nullptr)) return autograd::unpack(s, this);
  if (!s.tensor.defined()) return s.tensor;
  if (FLAMBEAU_UNLIKELY(s.tensor.storage().version() != s.version)) refuse_changed(*this, s, i);
  require(geometry_of(s.tensor) == s.geometry, "a tensor that ", *this,
          " saved for gradient computation has been given another shape or dtype since: it is [flambeau.",
          s.tensor.dtype(), " ", s.tensor.shape(), "] now. Change a clone() instead.");
  if (s.output < 0 || !grad_enabled()) return s.tensor;
  Tensor output = alias(s.tensor);
  copy_tangents(s.tensor, output);
  set_history(output, Ref<Node>(this), uint32_t(s.output));
  return output;
}

void OperatorNode::apply(const Tensor* gradients, Tensor* results, const bool* needs) {
  require(
      !released_, "Trying to backward through the graph a second time (", *this,
      " has freed its saved tensors). Saved intermediate values of the graph are freed when you call .backward() or "
      "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if you "
      "need "
      "to access saved tensors after calling backward.");
  SmallVector<Tensor, 4> saved;
  for (size_t i = 0; i < saved_.size(); ++i) saved.push_back(unpack(i));
  // Another thread's run may release this node while the derivative runs without the GIL.
  struct Applying {
    OperatorNode& node;
    ~Applying() {
      if (--node.applying_ == 0 && node.released_) node.derivative_.reset();
    }
  } applying{*this};
  ++applying_;
  derivative_(Context(gradients, saved.data(), results, needs));
}

AccumulateGrad::AccumulateGrad(const Tensor& leaf) : Node(nullptr), leaf_(leaf) {
  name_ = "AccumulateGrad";
  outputs.push_back({leaf.shape(), leaf.dtype()});
  take_number();
  meta_of(leaf).accumulator = this;
}
AccumulateGrad::~AccumulateGrad() {
  if (AutogradMeta* meta = leaf_.impl()->autograd; meta && meta->accumulator == this) meta->accumulator = nullptr;
}

void AccumulateGrad::apply(const Tensor* gradients, Tensor*, const bool*) {
  AutogradMeta& meta = meta_of(leaf_);
  accumulate_into(meta.grad, gradients[0]);
  if (FLAMBEAU_UNLIKELY(grad_enabled() && meta.grad.requires_grad())) suspect_cycle(leaf_);
  if (!is_observed()) return;
  for (const Callback& c : HeldCallbacks(static_cast<LeafHooks*>(meta.hooks.get())->post_accumulate)) {
    PyObject* leaf = wrap(leaf_);
    PyObject* result = PyObject_CallOneArg(c.function, leaf);
    Py_DECREF(leaf);
    if (!result) throw PythonError();
    Py_DECREF(result);
  }
}

void AccumulateGrad::check(const Tensor& gradient) const {
  const AutogradMeta* meta = leaf_.impl()->autograd;
  if (!meta || !meta->grad.defined() || !gradient.defined()) return;
  require(meta->grad.shape() == gradient.shape(), "a gradient of shape ", gradient.shape(),
          " cannot be added to the .grad of a leaf, which has shape ", meta->grad.shape());
}

bool AccumulateGrad::is_observed() const {
  const AutogradMeta* meta = leaf_.impl()->autograd;
  return meta && meta->hooks && !static_cast<LeafHooks*>(meta->hooks.get())->post_accumulate.empty();
}

namespace {

// Serialises threads that add to the .grad of one leaf. Waits without the GIL, which the other thread needs to go on.
class AccumulationLock {
 public:
  explicit AccumulationLock(const Tensor* slot) : lock_(mutex_of(slot), std::try_to_lock) {
    if (lock_) return;
    const GilRelease release(GilRelease::Wait);
    lock_.lock();
  }

 private:
  static std::recursive_mutex& mutex_of(const Tensor* slot) {
    constexpr size_t kMutexes = 64;
    static auto* const mutexes = new std::recursive_mutex[kMutexes];
    return mutexes[reinterpret_cast<size_t>(slot) / 64 % kMutexes];
  }
  std::unique_lock<std::recursive_mutex> lock_;
};

constexpr int64_t kAtOnce = 1024;  // elements that are added with the GIL held

}  // namespace

// A gradient that nobody else holds becomes .grad itself; later ones are added in place, unless they are to be
// differentiated.
void accumulate_into(Tensor& slot, const Tensor& gradient) {
  std::optional<AccumulationLock> lock;
  if (gradient.numel() > kAtOnce) lock.emplace(&slot);
  if (!slot.defined()) {
    const bool owned = gradient.impl()->use_count() == 1 && gradient.storage().use_count() == 1 &&
                       gradient.is_contiguous() && !gradient.impl()->base;
    slot = owned || grad_enabled() ? (gradient.is_contiguous() ? gradient : clone(gradient)) : clone(gradient);
    if (grad_enabled() && !owned && !gradient.requires_grad()) slot = clone(gradient);
    return;
  }
  if (grad_enabled()) {
    const Tensor former = slot;
    slot = add(former, gradient);
    return;
  }
  const Tensor sum = slot;  // another thread may replace .grad meanwhile
  const Operand operands[] = {sum, gradient};
  pointwise_(op::add, operands);
}

std::vector<Edge> gradient_edges(const std::vector<Tensor>& tensors) {
  std::vector<Edge> out;
  for (const Tensor& t : tensors) out.push_back(gradient_edge(t));
  return out;
}

void stop_retaining(AutogradMeta& meta) {
  if (!std::exchange(meta.retains_grad, false) || !meta.grad_fn) return;
  if (NodeHooks* hooks = static_cast<Node*>(meta.grad_fn.get())->hooks.get())
    std::erase_if(hooks->retained, [&meta](const auto& entry) { return entry.second == &meta; });
}

void retain_grad(const Tensor& t) {
  AutogradMeta& meta = meta_of(t);
  if (meta.retains_grad) return;
  node_hooks(*gradient_edge(t).node).retained.push_back({meta.output_index, &meta});
  meta.retains_grad = true;
}

NodeHooks& node_hooks(Node& node) {
  if (!node.hooks) node.hooks = std::make_unique<NodeHooks>();
  node.hooks->gradient.resize(node.outputs.size());
  return *node.hooks;
}

int visit_callbacks(AutogradMeta* meta, VisitObject visit_one, void* argument) {
  int stop = 0;
  if (const auto* hooks = static_cast<LeafHooks*>(meta->hooks.get())) {
    stop = visit(hooks->gradient, visit_one, argument);
    if (!stop) stop = visit(hooks->post_accumulate, visit_one, argument);
  }
  const Node* node = owned_node(*meta);
  if (!node || stop) return stop;
  if (PyObject* context = node->function_context()) stop = visit_one(context, argument);
  if (const NodeHooks* hooks = node->hooks.get()) {
    for (const Callbacks& c : hooks->gradient)
      if (!stop) stop = visit(c, visit_one, argument);
    for (const Callbacks* c : {&hooks->pre, &hooks->post})
      if (!stop) stop = visit(*c, visit_one, argument);
    if (!stop && hooks->metadata) stop = visit_one(hooks->metadata, argument);
  }
  return stop;
}

void drop_callbacks(AutogradMeta* meta) {
  if (auto* hooks = static_cast<LeafHooks*>(meta->hooks.get())) hooks->drop_callbacks();
  if (const Node* node = owned_node(*meta); node && node->hooks) node->hooks->drop_callbacks();
}

void set_history(const Tensor& t, const Ref<Node>& node, uint32_t index) {
  AutogradMeta& meta = meta_of(t);
  const bool retained = meta.retains_grad;
  stop_retaining(meta);
  meta.grad_fn = node;
  meta.output_index = index;
  t.impl()->requires_grad = true;
  if (!retained) return;
  node_hooks(*node).retained.push_back({index, &meta});
  meta.retains_grad = true;
}

void set_requires_grad(const Tensor& t, bool requires_grad) {
  require(!requires_grad || is_inexact(t.dtype()),
          "only Tensors of floating point and complex dtype can require gradients, got ", t.dtype(),
          "; convert first, e.g. x.float()");
  require(!requires_grad || inference_mode() || !t.storage().inference(),
          "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed.");
  AutogradMeta& meta = meta_of(t);
  require(!meta.grad_fn || requires_grad,
          "you can only change requires_grad flags of leaf variables. If you want to use a computed variable in a "
          "subgraph that doesn't require "
          "differentiation use var_no_grad = var.detach().");
  if (meta.grad_fn) return;
  meta.requires_grad = requires_grad;
  t.impl()->requires_grad = requires_grad;
}

}  // namespace flambeau::autograd
