// The recorded graph: nodes, the edges between them, and what they saved. Internal to the engine.
//
// Note [Order]
// Every node takes the next number of one sequence once its edges are there: its number is larger than those of all
// nodes its gradients flow to. Running the nodes by falling number therefore is a topological order, and no pass over
// the graph is needed to find one.
#pragma once

#include <Python.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flambeau/operators.h"
#include "flambeau/python.h"

namespace flambeau::autograd {

class Node;
struct Run;
using Gradients = SmallVector<Tensor, 1>;  // of the outputs of a node

struct Edge {
  Ref<Node> node;      // null: no gradient is wanted
  uint32_t index = 0;  // which output of that node
};

// What hooks (saved_tensors_hooks) made of a saved tensor. saved_hooks.cpp
struct PackedTensor {
  PyObject *packed, *unpack;  // owned
  Edge edge;                  // where the gradient of the unpacked tensor goes
  Shape shape;                // what the derivatives were promised, and do not look at again
  Dtype dtype;
  Device device;
  bool contiguous;
  PackedTensor(PyObject* packed, PyObject* unpack, Edge edge, const Tensor& t)
      : packed(packed),
        unpack(unpack),
        edge(std::move(edge)),
        shape(t.shape()),
        dtype(t.dtype()),
        device(t.device()),
        contiguous(t.is_contiguous()) {}
  ~PackedTensor() {
    Py_DECREF(packed);
    Py_DECREF(unpack);
  }
  PackedTensor(const PackedTensor&) = delete;
};

struct SavedTensor {
  Tensor tensor;  // undefined where hooks packed it
  uint32_t version;
  int output;  // which output of the saving node it is, or -1: then `tensor` is an alias without history
  uint64_t geometry;
  std::unique_ptr<PackedTensor> packed;
};

struct OutputInfo {
  Shape shape;
  Dtype dtype;
};

struct Callback {
  int64_t id;
  PyObject* function;  // owned
};
using Callbacks = std::vector<Callback>;

class HeldCallbacks {  // a copy to be called: the callbacks may take themselves or each other off
 public:
  explicit HeldCallbacks(const Callbacks& callbacks) : callbacks_(callbacks) {
    for (const Callback& c : callbacks_) Py_INCREF(c.function);
  }
  ~HeldCallbacks() {
    for (const Callback& c : callbacks_) Py_DECREF(c.function);
  }
  HeldCallbacks(const HeldCallbacks&) = delete;
  auto begin() const { return callbacks_.begin(); }
  auto end() const { return callbacks_.end(); }

 private:
  const Callbacks callbacks_;
};

struct CallbackOwner {  // found by the ids of its callbacks, so that a handle need not hold it
  virtual void remove(int64_t id) = 0;

 protected:
  ~CallbackOwner() = default;
};
int64_t add_callback(CallbackOwner& owner, Callbacks& callbacks, PyObject* function);  // its id
void remove_callback(int64_t id);                                                      // if it is still there

struct CallSite {                                 // the Python frames at a moment, innermost first. anomaly.cpp
  std::vector<std::pair<PyObject*, int>> frames;  // code objects, owned, and the instruction
  Ref<Node> parent;                               // the node in whose derivative it happened
  ~CallSite();
};

struct NodeHooks final : CallbackOwner {  // what few nodes have
  ~NodeHooks();
  void remove(int64_t id) override;
  void drop_callbacks();
  std::vector<Callbacks> gradient;                           // by output: called with its gradient, may replace it
  Callbacks pre, post;                                       // of the node: (grad_outputs), (grad_inputs, grad_outputs)
  std::vector<std::pair<uint32_t, AutogradMeta*>> retained;  // tensors that keep their gradient
  PyObject* metadata = nullptr;                              // a dict for the user
  std::unique_ptr<CallSite> call_site;                       // in anomaly mode
};

struct LeafHooks final : TensorHooks, CallbackOwner {
  ~LeafHooks() override;
  void remove(int64_t id) override;
  void drop_callbacks();
  Callbacks gradient, post_accumulate;
};

class Node : public GraphNode {
 public:
  explicit Node(const char* operator_name) : operator_name_(operator_name) {}  // with static lifetime
  const char* name() const override;                                           // made when it is asked for
  virtual size_t bytes() const = 0;                                            // of the object, for its allocation
  // Gradients of the outputs to those of the inputs; `results` has one slot for each edge.
  virtual void apply(const Tensor* gradients, Tensor* results, const bool* needs) = 0;
  virtual void release_saved() {}
  virtual PyObject* function_context() const { return nullptr; }  // of a call of an autograd.Function; borrowed
  void take_number();                                             // Note [Order]

  SmallVector<Edge, 3> edges;
  SmallVector<OutputInfo, 1> outputs;
  std::unique_ptr<NodeHooks> hooks;
  uint64_t sequence = 0;
  bool wants_zeros = true;  // for outputs without a gradient; otherwise they are given as undefined tensors
  // The run this node waits in, and the gradients that have arrived. Note [Runs] in engine.cpp
  Run* run = nullptr;
  Gradients pending;

 protected:
  void destroy() override;

 private:
  const char* operator_name_;

 protected:
  mutable std::string name_;
};

std::ostream& operator<<(std::ostream& out, const Node& node);  // its name

class OperatorNode : public Node {
 public:
  OperatorNode(const char* operator_name, Derivative derivative)
      : Node(operator_name), derivative_(std::move(derivative)) {}
  OperatorNode(std::string name, Derivative derivative) : Node(nullptr), derivative_(std::move(derivative)) {
    name_ = std::move(name);
  }
  size_t bytes() const override { return sizeof(*this); }
  void apply(const Tensor* gradients, Tensor* results, const bool* needs) override;
  void release_saved() override;
  void save(const Tensor& t, int output);
  size_t saved_count() const { return saved_.size(); }
  int saved_output(size_t i) const { return saved_[i].output; }
  const Tensor& saved_tensor(size_t i) const { return saved_[i].tensor; }
  bool released() const { return released_; }
  void holds_tensors() { holds_tensors_ = true; }  // in its derivative: it is to be freed like what was saved
  int64_t saved_bytes() const;
  Tensor unpack(size_t i);  // RuntimeError if it was freed or changed in place
  Derivative& derivative() { return derivative_; }
  void share_tangents(const Tensor* const* outputs);  // with the saved outputs

 protected:
  SmallVector<SavedTensor, 3> saved_;
  bool released_ = false, holds_tensors_ = false;
  int applying_ = 0;  // threads inside the derivative, which is not freed until the last one returns

 private:
  Derivative derivative_;
};

class AccumulateGrad final : public Node {  // adds to a leaf's .grad
 public:
  explicit AccumulateGrad(const Tensor& leaf);
  ~AccumulateGrad() override;
  size_t bytes() const override { return sizeof(*this); }
  void apply(const Tensor* gradients, Tensor* results, const bool* needs) override;
  const Tensor& leaf() const { return leaf_; }
  bool is_observed() const;                  // has hooks to be called after accumulation
  void check(const Tensor& gradient) const;  // that it can be added to .grad

 private:
  Tensor leaf_;
};

template <class T, class... Args>
Ref<T> make_node(Args&&... args) {
  return Ref<T>::adopt(new (allocate(sizeof(T))) T(std::forward<Args>(args)...));
}

// Whether a thread has hooks installed; if this one has, `saved` becomes what they make of `t`.
extern int hooked_threads;
void pack(SavedTensor& saved, const Tensor& t);
Tensor unpack(const SavedTensor& saved, Node* node);

extern bool anomaly_mode, anomaly_checks_nan;
void remember_call(Node& node);
// Adds a note that names the node to the exception being handled, and rethrows it as a Python one.
[[noreturn]] void rethrow_with_note(const Node& node, const char* doing);
void check_nan(const Node& node, const Tensor* results, size_t count);
std::string call_text(const Node& node);  // the forward call, indented lines; empty where it was not remembered

Edge gradient_edge(const Tensor& t);  // where the gradient of t goes; none if it requires none
void set_history(const Tensor& t, const Ref<Node>& node, uint32_t index);
NodeHooks& node_hooks(Node& node);  // made if they are missing
void retain_grad(const Tensor& t);  // of a tensor with a history
void stop_retaining(AutogradMeta& meta);

void record(Recording& recording);
// Gives t its history as an output of a node with the given inputs.
void become_output(const Tensor& t, const Ref<OperatorNode>& node, uint32_t index, Recording::Kind kind,
                   const Tensor* const* inputs, int count);
void set_requires_grad(const Tensor& t, bool requires_grad);
void track(const Tensor& t);  // by the garbage collector
int visit_callbacks(AutogradMeta* meta, VisitObject visit, void* argument);
void drop_callbacks(AutogradMeta* meta);
void* wrap_grad_fn(const Tensor& t);

// Note [Cycles of gradients] in cycles.cpp
void suspect_cycle(const Tensor& leaf);         // its .grad has a graph
void forget_suspect(const AutogradMeta& meta);  // it ends
size_t collect_cycles();                        // how many leaves were garbage

bool reduces_to(const Shape& from, const Shape& to);  // whether `to` broadcasts to `from`
// Sums a gradient to the shape and casts it to the dtype of what it belongs to. `sender` computed it, as its result
// `index`.
Tensor fit(Tensor gradient, const OutputInfo& info, const Node* sender, size_t index);
void accumulate_into(Tensor& slot, const Tensor& gradient);

struct Root {
  Edge edge;
  Tensor gradient;
  Root(Edge e, Tensor g) : edge(std::move(e)), gradient(std::move(g)) {}
  Root(const Tensor& t, Tensor g) : Root(gradient_edge(t), std::move(g)) {}
};
std::vector<Edge> gradient_edges(const std::vector<Tensor>& tensors);
struct RunOptions {
  bool keep_graph = false, create_graph = false;
  std::vector<Edge> inputs;        // if any: only what leads to them runs
  bool accumulate_inputs = false;  // backward(inputs=...): into their .grad, instead of returning the gradients
};
// The gradients of options.inputs, undefined where they were not reached.
std::vector<Tensor> run_backward(const std::vector<Root>& roots, const RunOptions& options);
// Of this thread: the number of the run, -1 outside of one; the node at work, or null; whether the run reaches a node.
int64_t current_run();
Node* current_node();
bool run_reaches(Node* node);
bool run_is_selective();  // it runs only what leads to given inputs

}  // namespace flambeau::autograd
