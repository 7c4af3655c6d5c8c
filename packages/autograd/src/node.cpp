// Nodes: creation, saved tensors, destruction.
#include "node.h"

#include "anomaly.h"
#include "binding_hooks.h"
#include "dispatched.h"
#include "forward_mode.h"

namespace flambeau::autograd {

const BindingHooks* binding_hooks = nullptr;
int hooked_threads = 0;

namespace {

uint64_t next_sequence = 0;  // protected by the interpreter's lock

// PyTorch's names of nodes, for operators that PyTorch computes by operators with other names.
constexpr std::pair<std::string_view, const char*> kNamesInPytorch[] = {
    {"Clip", "ClampBackward1"},
    {"ConvolutionTransposed", "ConvolutionBackward0"},
    {"CrossEntropy", "NllLossBackward0"},
    {"GeluErf", "GeluBackward0"},
    {"GeluTanh", "GeluBackward0"},
    {"Linear", "AddmmBackward0"},
    {"Log1p", "Log1PBackward0"},
    {"Logsigmoid", "LogSigmoidBackward0"},
    {"Norm", "LinalgVectorNormBackward0"},
    {"Relu6", "HardtanhBackward0"},
    {"ReplaceNanAndInfinity", "NanToNumBackward0"},
    {"Selu", "EluBackward0"},
    {"Square", "PowBackward0"},
};

// Returns the name of the node of an operator, such as MulBackward0 for Mul. A name with "Backward" is complete.
std::string node_name(std::string_view operator_name) {
  for (const auto& [name, in_pytorch] : kNamesInPytorch)
    if (name == operator_name) return in_pytorch;
  const bool complete = operator_name.find("Backward") != std::string_view::npos;
  return std::string(operator_name) + (complete ? "" : "Backward0");
}

}  // namespace

const char* Node::name() const {
  if (name_.empty()) name_ = node_name(operator_name_);
  return name_.c_str();
}
std::ostream& operator<<(std::ostream& out, const Node& node) { return out << node.name(); }

void Node::take_number() {
  sequence = ++next_sequence;
  if (FLAMBEAU_UNLIKELY(anomaly_mode)) remember_call(*this);
}

// The destruction of a node also destroys nodes to which only this node refers. These nodes are added to a list instead
// of being destroyed recursively, so that a chain of a million nodes does not overflow the stack.
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

// Returns a hash of the shape and the dtype, which is compared when a tensor is unpacked. A derivative relies on shape
// and dtype, but an assignment to .data or resize_() can change them.
uint64_t geometry_of(const Tensor& t) {
  constexpr uint64_t kSpread = 0x9e3779b97f4a7c15u;
  uint64_t h = (uint64_t(t.dtype()) + 1) * kSpread;  // a difference of dtypes must not cancel a difference of sizes
  for (int64_t size : t.shape()) {
    h = (h ^ uint64_t(size)) * kSpread;
    h ^= h >> 29;
  }
  return h;
}

}  // namespace

static void replace(SavedTensor& saved, const Tensor& t, std::unique_ptr<PackedTensor> packed) {
  if (saved.output < 0) packed->edge = gradient_edge(t);
  saved.packed = std::move(packed);
  saved.tensor = Tensor();
}

static Tensor unpack(const SavedTensor& saved, Node* node, bool with_history) {
  const PackedTensor& packed = *saved.packed;
  const Tensor t = packed.unpack();
  require(t.shape() == packed.shape && t.dtype() == packed.dtype && t.device() == packed.device,
          "Output of saved tensor unpack_hook expected to be like the tensor that was packed, ", packed.dtype, " ",
          packed.shape, " on ", packed.device, ", but got ", t.dtype(), " ", t.shape(), " on ", t.device());
  const Tensor values = packed.contiguous ? contiguous(t) : t;
  const Edge edge = saved.output >= 0 ? Edge{Ref<Node>(node), uint32_t(saved.output)} : packed.edge;
  if (!edge.node || !with_history) return values;
  const Tensor out = alias(values);
  set_history(out, edge.node, edge.index);
  return out;
}

// Returns the tensor that a node saves: t itself, or an alias if `needs_alias` is set. For dispatched tensors,
// __torch_dispatch__ creates the alias. Among these, only outputs get an alias, because a mode identifies other tensors
// by their Python objects.
static Tensor own_reference(const Tensor& t, int output, bool needs_alias) {
  if (is_dispatched(t)) return output >= 0 ? dispatched_gradients->detach(t) : t;
  return needs_alias ? alias(t) : t;
}

void OperatorNode::save(const Tensor& t, int output) {
  if (!t.defined()) return saved_.push_back({t, 0, -1, 0, nullptr});
  require(!t.storage().inference(), kInferenceSaved);
  // Save an alias of an index tensor, because a later assignment to its .data must not bypass the checks of indices.
  const bool needs_alias = output >= 0 || !is_inexact(t.dtype());
  saved_.push_back({own_reference(t, output, needs_alias), t.storage().version(), output, geometry_of(t), nullptr});
  if (FLAMBEAU_LIKELY(!hooked_threads)) return;
  if (std::unique_ptr<PackedTensor> packed = binding_hooks->pack(t, output >= 0))
    replace(saved_.back(), t, std::move(packed));
}

void OperatorNode::pack_saved(size_t i, std::unique_ptr<PackedTensor> packed) {
  if (i >= saved_.size()) return;  // true if the pack hook has freed the graph
  const Tensor t = saved_[i].tensor;
  replace(saved_[i], t, std::move(packed));
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

[[noreturn, gnu::cold]] void reject_changed(const OperatorNode& node, const SavedTensor& s, size_t i) {
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

Tensor OperatorNode::unpack(size_t i, bool with_history) {
  const SavedTensor& s = saved_[i];
  if (FLAMBEAU_UNLIKELY(s.packed != nullptr)) return autograd::unpack(s, this, with_history);
  if (!s.tensor.defined()) return s.tensor;
  if (FLAMBEAU_UNLIKELY(s.tensor.storage().version() != s.version)) reject_changed(*this, s, i);
  require(geometry_of(s.tensor) == s.geometry, "a tensor that ", *this,
          " saved for gradient computation has had its shape or dtype changed: it is now [flambeau.", s.tensor.dtype(),
          " ", s.tensor.shape(), "]. Change a clone() instead.");
  if (s.output < 0 || !with_history) return s.tensor;
  Tensor output = own_reference(s.tensor, s.output, true);
  copy_tangents(s.tensor, output);
  set_history(output, Ref<Node>(this), uint32_t(s.output));
  return output;
}

void OperatorNode::require_saved() const {
  require(
      !released_,
      "Trying to backward through the graph a second time (or directly access saved tensors after they have already "
      "been freed), in ",
      *this,
      ". Saved intermediate values of the graph are freed when you call .backward() or autograd.grad(). Specify "
      "retain_graph=True if you need to backward through the graph a second time or if you need to access saved "
      "tensors after calling backward.");
}

void OperatorNode::apply(const Tensor* gradients, Tensor* results, const bool* needs) {
  require_saved();
  SmallVector<Tensor, 4> saved;
  for (size_t i = 0; i < saved_.size(); ++i) saved.push_back(unpack(i, grad_enabled()));
  // The backward pass of another thread may free the graph while the derivative runs without the GIL. In this case, the
  // last thread that runs the derivative frees the derivative.
  struct DerivativeScope {
    OperatorNode& node;
    ~DerivativeScope() {
      if (--node.applying_ == 0 && node.released_) node.derivative_.reset();
    }
  } applying{*this};
  ++applying_;
  derivative_(Context(gradients, saved.data(), results, needs));
}

}  // namespace flambeau::autograd
