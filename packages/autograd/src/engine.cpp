// The backward pass.
//
// Note [Runs]
// A run is one backward pass. It stores the nodes that have received gradients in a heap ordered by sequence number
// (Note [Order] in node.h), and the gradients in the nodes. A hook or a derivative may start a nested run. If the
// nested run reaches a node that waits in the outer run, it stores its gradients in `overflow` instead. A run uses only
// the calling thread.
//
// Note [Leaves last]
// Gradients are added to the leaves after all other nodes have run. Therefore a run that fails (because of a freed
// graph, a changed saved tensor, or an exception in a derivative) changes no .grad. Leaves with hooks after
// accumulation are an exception, because these hooks exist to consume gradients early. Such a leaf is processed right
// after the last node that sends a gradient to it. A search of the graph finds this node. The sequence number of the
// leaf's node does not suffice, because an earlier graph that still exists may have created the leaf's node.
//
// Note [Undefined gradients]
// A derivative may leave the gradient of an input undefined. The nodes behind this input run nevertheless, so that
// their hooks are called (with None in Python). If no output of a node has a gradient, the gradients of its inputs are
// also undefined, and the derivative is not called. Only the derivatives of autograd.Function classes are called,
// because they may request zeros.
#include "engine.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <unordered_map>
#include <unordered_set>

#include "anomaly.h"
#include "binding_hooks.h"
#include "dispatched.h"
#include "flambeau/cuda.h"
#include "flambeau/interpreter.h"

namespace flambeau::autograd {

// The gradient of a non-leaf tensor with retain_grad(), which is stored in .grad at the end of the run.
struct RetainedGradient {
  Ref<Node> node;
  uint32_t output;
  AutogradMeta* meta;  // metadata of the tensor; valid only while the node lists it
  Tensor gradient;
};

// While an object of this class exists, new tensors are allocated on the device of the gradients. Note [Devices]
class GradientDeviceScope {
 public:
  GradientDeviceScope(const Tensor* gradients, size_t count, const Node& node) {
    const Tensor* first = std::find_if(gradients, gradients + count, [](const Tensor& g) { return g.defined(); });
    if (first == gradients + count || is_dispatched_instance(*first)) return;
    if (FLAMBEAU_LIKELY((first->device() == DeviceType::Cpu) & (OnDevice::current() == DeviceType::Cpu))) return;
    device_.emplace(first->device(), node.name());
    call_.emplace();
  }

 private:
  std::optional<OnDevice> device_;
  std::optional<cuda::Call> call_;
};

struct Run {
  explicit Run(const RunOptions& o);
  ~Run();

  const RunOptions& options;
  const int64_t number;
  Run* const outer;
  Node* at_work = nullptr;
  std::vector<Edge> starts;
  std::vector<std::pair<uint64_t, Node*>> heap;      // ordered by priority (see priority_of_leaf())
  std::vector<Node*> leaves;                         // Note [Leaves last]
  std::unordered_map<Node*, uint64_t> last_senders;  // for each leaf: number of the last node with an edge to it
  std::vector<std::pair<Node*, Tensor>> accumulations;
  std::vector<RetainedGradient> retained;
  std::vector<std::function<void()>> callbacks;  // called at the end of the run
  std::unordered_map<Node*, Gradients> overflow;
  std::unordered_set<Node*> needed;  // nodes on paths to the requested inputs; used only if `selective`
  bool selective = false;
  std::unordered_set<Node*> reached;  // all nodes that the run reaches; filled by the first call of run_reaches()
  // For each node with outputs whose gradients the run returns: indices of the outputs, and positions in the result.
  std::unordered_map<Node*, std::vector<std::pair<uint32_t, size_t>>> captures;
  std::vector<Tensor> captured;

  bool wants(Node* node) const { return !selective || needed.count(node) > 0; }
  Gradients& waiting(Node* node);
  Gradients& enter(Node* node, Gradients& gradients);
  void forget(Node* node);
  uint64_t priority_of_leaf(Node* leaf);
  void find_last_senders();
  void deliver(const Edge& edge, Tensor gradient, const Node* sender, size_t index);
  void deliver_undefined(const Edge& edge);
  Gradients take(Node* node);
  void step(Node* node);
  void evaluate(Node* node, Gradients& gradients, const char*& doing);
  void compute(Node* node, Gradients& gradients, const SmallVector<bool, 8>& needs, const char*& doing);
  void accumulate(Node* leaf, const Tensor& gradient);
  void retain(Node* node, const Gradients& gradients);
  void finish();
  void loop();
  void select();
  void find_needed();
};

namespace {

thread_local Run* running = nullptr;
int64_t next_run = 0;  // protected by the interpreter's lock

bool later(const std::pair<uint64_t, Node*>& a, const std::pair<uint64_t, Node*>& b) {
  return a.first != b.first ? a.first < b.first : a.second->sequence < b.second->sequence;
}

}  // namespace

Run::Run(const RunOptions& o) : options(o), number(next_run++), outer(std::exchange(running, this)) {}

Run::~Run() {
  running = outer;
  for (const auto& [priority, node] : heap) forget(node);  // after an exception, some nodes still wait in this run
  for (Node* node : leaves) forget(node);
}

void Run::forget(Node* node) {
  if (node->run != this) return;
  node->run = nullptr;
  node->pending.clear();
}

int64_t current_run() { return running ? running->number : -1; }
Node* current_node() { return running ? running->at_work : nullptr; }

// Returns true if the node's derivative is implemented in C++, but a gradient is an instance of a class with
// __torch_dispatch__.
bool is_foreign(const Node& node, const Gradients& gradients) {
  const auto* const operation = dynamic_cast<const OperatorNode*>(&node);
  return operation && !operation->in_python && std::any_of(gradients.begin(), gradients.end(), is_dispatched_instance);
}

bool reduces_to(const Shape& from, const Shape& to) {
  if (to.size() > from.size()) return false;
  const size_t shift = from.size() - to.size();
  for (size_t i = 0; i < to.size(); ++i)
    if (to[i] != from[shift + i] && to[i] != 1) return false;
  return true;
}

Tensor fit(Tensor g, const OutputInfo& info, const Node* sender, size_t index) {
  if (FLAMBEAU_UNLIKELY(!(g.shape() == info.shape))) {
    require(reduces_to(g.shape(), info.shape), "Function ", *sender, " returned an invalid gradient at index ", index,
            " - got ", g.shape(), " but expected shape compatible with ", info.shape);
    g = summed_to(g, info.shape);
  }
  return g.dtype() == info.dtype ? g : converted(g, info.dtype);
}

Gradients& Run::waiting(Node* node) {
  if (node->run == this) return node->pending;
  if (FLAMBEAU_UNLIKELY(!overflow.empty()))
    if (auto at = overflow.find(node); at != overflow.end()) return at->second;
  if (node->run) return enter(node, overflow[node]);
  node->run = this;
  return enter(node, node->pending);
}

Gradients& Run::enter(Node* node, Gradients& gradients) {
  gradients.resize(node->outputs.size());
  const AccumulateGrad* leaf = node->as_accumulator();
  if (leaf && !leaf->is_observed()) {
    leaves.push_back(node);
  } else {
    heap.push_back({leaf ? priority_of_leaf(node) : 2 * node->sequence, node});
    std::push_heap(heap.begin(), heap.end(), later);
  }
  return gradients;
}

// Returns the priority of a leaf. The priority of other nodes is twice their sequence number, so that a leaf can have a
// priority between any two of them.
uint64_t Run::priority_of_leaf(Node* leaf) {
  if (last_senders.empty()) find_last_senders();
  const auto at = last_senders.find(leaf);
  return at == last_senders.end() ? 2 * leaf->sequence : 2 * at->second - 1;
}

void Run::find_last_senders() {
  std::unordered_set<Node*> seen;
  std::vector<Node*> open;
  for (const Edge& start : starts)
    if (seen.insert(start.node.get()).second) open.push_back(start.node.get());
  while (!open.empty()) {
    const Node* sender = open.back();
    open.pop_back();
    for (const Edge& e : sender->edges) {
      if (!e.node || !wants(e.node.get())) continue;
      if (e.node->edges.empty()) {
        auto& last = last_senders.try_emplace(e.node.get(), sender->sequence).first->second;
        last = std::min(last, sender->sequence);
      } else if (seen.insert(e.node.get()).second) {
        open.push_back(e.node.get());
      }
    }
  }
}

void Run::deliver(const Edge& edge, Tensor gradient, const Node* sender, size_t index) {
  Node* node = edge.node.get();
  if (!wants(node)) return;
  Tensor g = fit(std::move(gradient), node->outputs[edge.index], sender, index);
  Tensor& slot = waiting(node)[edge.index];
  if (!slot.defined()) {
    slot = std::move(g);
    return;
  }
  const GradientDeviceScope device_scope(&g, 1, *node);
  const bool owned = !recording_enabled() && !is_dispatched(slot) && !is_dispatched(g) &&
                     slot.impl()->use_count() == 1 && slot.storage().use_count() == 1 && slot.is_contiguous() &&
                     !slot.impl()->base;
  if (!owned) {
    slot = sum_of(slot, g);
    return;
  }
  const Operand operands[] = {slot, g};
  pointwise_(op::add, operands);
}

void Run::deliver_undefined(const Edge& edge) {
  if (wants(edge.node.get())) waiting(edge.node.get());
}

void Run::retain(Node* node, const Gradients& gradients) {
  if (!node->hooks) return;
  for (auto& [index, meta] : node->hooks->retained)
    if (gradients[index].defined()) retained.push_back({Ref<Node>(node), index, meta, gradients[index]});
}

Gradients Run::take(Node* node) {
  Gradients gradients;
  if (node->run == this) {
    gradients = std::move(node->pending);
    node->pending.clear();
    node->run = nullptr;
  } else {
    gradients = std::move(overflow.at(node));
    overflow.erase(node);
  }
  return gradients;
}

namespace {

// Reports a node to the observer of operator calls, if one is active, while the node is running.
class ObservedNode {
 public:
  explicit ObservedNode(const Node& node) : observer_(call_observer) {
    if (FLAMBEAU_UNLIKELY(observer_)) observer_->begin(node.name());
  }
  ~ObservedNode() {
    if (FLAMBEAU_UNLIKELY(observer_ && observer_ == call_observer)) observer_->end("", nullptr);
  }
  ObservedNode(const ObservedNode&) = delete;

 private:
  CallObserver* const observer_;
};

}  // namespace

void Run::step(Node* node) {
  const OperatorCall call;
  Gradients gradients = take(node);
  const Ref<Node> alive(node);
  const ObservedNode observed(*node);
  const char* doing = "in a hook of";
  at_work = node;
  try {
    evaluate(node, gradients, doing);
  } catch (...) {
    if (binding_hooks) binding_hooks->rethrow(*node, doing);
    throw;
  }
  at_work = nullptr;
}

void Run::evaluate(Node* node, Gradients& gradients, const char*& doing) {
  const GradientDeviceScope device_scope(gradients.data(), gradients.size(), *node);
  call_gradient_hooks(*node, gradients);
  retain(node, gradients);
  const size_t n = node->edges.size();
  SmallVector<bool, 8> needs(n);
  bool any = n == 0, ends_here = false;
  if (selective) {
    if (auto at = captures.find(node); at != captures.end()) {
      for (auto [output, position] : at->second) captured[position] = gradients[output];
      if (n == 0) return;  // gradients of leaves are captured, not accumulated
      ends_here = true;
    }
  }
  for (size_t i = 0; i < n; ++i) any |= needs[i] = node->edges[i].node && wants(node->edges[i].node.get());
  if (!any && ends_here) return;
  if (node->hooks) call_prehooks(*node, gradients);
  if (!any) {
    SmallVector<Tensor, 4> none(n);
    if (node->hooks) call_posthooks(*node->hooks, {none.data(), n}, {gradients.data(), gradients.size()});
    return;
  }
  const AccumulateGrad* leaf = node->as_accumulator();
  if (leaf && !leaf->is_observed()) {
    leaf->check(gradients[0]);
    if (gradients[0].defined() || node->hooks) accumulations.push_back({node, std::move(gradients[0])});
    return;
  }
  compute(node, gradients, needs, doing);
}

namespace {

// Replaces undefined gradients with zeros.
Gradients with_zeros(const Node& node, Gradients gradients) {
  for (size_t i = 0; i < gradients.size(); ++i)
    if (!gradients[i].defined()) gradients[i] = zeros(node.outputs[i].shape, node.outputs[i].dtype);
  return gradients;
}

// Calls the derivative of a node. Note [Undefined gradients]
void apply(Node* node, const Gradients& gradients, std::span<Tensor> results, const bool* needs) {
  const auto is_defined = [](const Tensor& g) { return g.defined(); };
  const size_t defined = size_t(std::count_if(gradients.begin(), gradients.end(), is_defined));
  if (FLAMBEAU_UNLIKELY(defined < gradients.size() && !node->edges.empty())) {
    if (defined == 0 && !node->runs_without_gradients) return;
    if (node->wants_zeros) return apply(node, with_zeros(*node, gradients), results, needs);
  }
  if (FLAMBEAU_UNLIKELY(dispatched_gradients) && is_foreign(*node, gradients))
    dispatched_gradients->apply(node->name(), gradients.data(), gradients.size(), results.data(), results.size(),
                                [&](const Tensor* given, Tensor* out) { node->apply(given, out, needs); });
  else
    node->apply(gradients.data(), results.data(), needs);
}

}  // namespace

std::vector<Tensor> call_node(Node& node, const std::vector<Tensor>& gradients) {
  const size_t n = node.edges.size();
  Gradients given;
  for (size_t i = 0; i < gradients.size(); ++i) {
    const Tensor& g = gradients[i];
    require(!g.defined() || g.shape() == node.outputs[i].shape, "expected a gradient of shape ", node.outputs[i].shape,
            " for output ", i, " of ", node, ", got ", g.shape());
    given.push_back(g.defined() ? fit(g, node.outputs[i], &node, i) : Tensor());
  }
  const GradientDeviceScope device_scope(given.data(), given.size(), node);
  if (const AccumulateGrad* leaf = node.as_accumulator()) {
    if (!given[0].defined()) return {};
    leaf->check(given[0]);
  }
  SmallVector<bool, 8> needs(n);
  for (size_t i = 0; i < n; ++i) needs[i] = bool(node.edges[i].node);
  std::vector<Tensor> results(n);
  apply(&node, given, results, needs.data());
  return results;
}

void Run::compute(Node* node, Gradients& gradients, const SmallVector<bool, 8>& needs, const char*& doing) {
  const size_t n = needs.size();
  SmallVector<Tensor, 4> results(n);
  doing = "in the backward of";
  apply(node, gradients, {results.data(), n}, needs.data());
  if (NodeHooks* hooks = node->hooks.get(); hooks && !hooks->post.empty()) {
    for (size_t i = 0; i < n; ++i)
      if (needs[i] && results[i].defined())
        results[i] = fit(results[i], node->edges[i].node->outputs[node->edges[i].index], node, i);
    doing = "in a hook of";
    call_posthooks(*hooks, {results.data(), n}, {gradients.data(), gradients.size()});
    doing = "in the backward of";
  }
  if (FLAMBEAU_UNLIKELY(anomaly_mode && anomaly_checks_nan)) check_nan(*node, results.data(), n);
  gradients.clear();
  if (!options.keep_graph) node->release_saved();
  for (size_t i = 0; i < n; ++i) {
    if (!needs[i]) continue;
    if (results[i].defined())
      deliver(node->edges[i], std::move(results[i]), node, i);
    else
      deliver_undefined(node->edges[i]);
  }
}

void Run::accumulate(Node* leaf, const Tensor& gradient) {
  const GradientDeviceScope device_scope(&gradient, 1, *leaf);
  leaf->apply(&gradient, nullptr, nullptr);
  if (leaf->hooks) call_posthooks(*leaf->hooks, {}, {&gradient, 1});
}

// Stores retained gradients and adds gradients to the leaves. Only hooks after accumulation can raise errors here.
void Run::finish() {
  for (RetainedGradient& r : retained) {
    const auto is_listed = [&r] {
      const auto& listed = r.node->hooks->retained;
      return std::find(listed.begin(), listed.end(), std::pair(r.output, r.meta)) != listed.end();
    };
    if (!is_listed()) continue;
    const GradientDeviceScope device_scope(&r.gradient, 1, *r.node);
    const Tensor former = r.meta->grad, sum = former.defined() ? sum_of(former, r.gradient) : unshared(r.gradient);
    r.gradient = Tensor();                // so that a leaf with the same gradient need not copy it
    if (is_listed()) r.meta->grad = sum;  // another thread may have released the tensor during the addition
  }
  for (auto& [leaf, gradient] : accumulations) {
    const Tensor last = std::move(gradient);
    accumulate(leaf, last);
  }
}

void Run::loop() {
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end(), later);
    Node* node = heap.back().second;
    heap.pop_back();
    step(node);
  }
  for (size_t i = 0; i < leaves.size(); ++i) step(leaves[i]);
  finish();
  for (size_t i = 0; i < callbacks.size(); ++i) {  // a callback may queue another
    const std::function<void()> callback = std::move(callbacks[i]);
    callback();
  }
}

void Run::select() {
  selective = true;
  captured.resize(options.inputs.size());
  for (size_t i = 0; i < options.inputs.size(); ++i) {
    const Edge& edge = options.inputs[i];
    needed.insert(edge.node.get());
    if (!options.accumulate_inputs) captures[edge.node.get()].push_back({edge.index, i});
  }
  find_needed();
}

// Finds the nodes on paths to the requested inputs with a depth-first search that does not recurse.
void Run::find_needed() {
  std::unordered_set<Node*> visited;
  std::vector<std::pair<Node*, size_t>> stack;
  for (const Edge& start : starts) {
    if (!visited.insert(start.node.get()).second) continue;
    stack.push_back({start.node.get(), 0});
    while (!stack.empty()) {
      auto& [node, next] = stack.back();
      if (next < node->edges.size()) {
        Node* child = node->edges[next++].node.get();
        if (child && visited.insert(child).second) stack.push_back({child, 0});
        continue;
      }
      for (const Edge& e : node->edges)
        if (e.node && needed.count(e.node.get())) needed.insert(node);
      stack.pop_back();
    }
  }
  for (const Edge& input : options.inputs)
    if (!visited.count(input.node.get())) needed.erase(input.node.get());
}

void call_at_end(std::function<void()> callback) {
  require(running, "Final callbacks can only be installed during backward pass.");
  running->callbacks.push_back(std::move(callback));
}

bool run_is_selective() { return running && running->selective; }

bool run_captures(Node* node) { return running && running->captures.count(node) > 0; }

bool run_reaches(Node* node) {
  if (!running) return false;
  if (running->selective) return running->needed.count(node) > 0;
  std::unordered_set<Node*>& reached = running->reached;
  std::vector<Node*> open;
  if (reached.empty())
    for (const Edge& start : running->starts)
      if (reached.insert(start.node.get()).second) open.push_back(start.node.get());
  while (!open.empty()) {
    const Node* next = open.back();
    open.pop_back();
    for (const Edge& e : next->edges)
      if (e.node && reached.insert(e.node.get()).second) open.push_back(e.node.get());
  }
  return reached.count(node) > 0;
}

std::vector<Tensor> run_backward(const std::vector<Root>& roots, const RunOptions& options) {
  const uint8_t forward = recording_modes() & modes::kTangents;
  const RecordingModes run_modes(uint8_t(forward | (options.create_graph ? modes::kGraph : 0)));
  const bool given = !roots.empty() && roots[0].gradient.defined();
  const bool has_gradient = given && !is_dispatched_instance(roots[0].gradient);
  const OnDevice scope(has_gradient ? roots[0].gradient.device() : OnDevice::current());
  Run run(options);
  for (const Root& root : roots) run.starts.push_back(root.edge);
  if (!options.inputs.empty()) run.select();
  for (size_t i = 0; i < roots.size(); ++i) run.deliver(roots[i].edge, roots[i].gradient, roots[i].edge.node.get(), i);
  run.loop();
  return std::move(run.captured);
}

}  // namespace flambeau::autograd
