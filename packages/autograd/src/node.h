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

struct Edge {
  Ref<Node> node;      // null: no gradient is wanted
  uint32_t index = 0;  // which output of that node
};

struct SavedTensor {
  Tensor tensor;
  uint32_t version;
  int output;  // which output of the saving node it is, or -1: then `tensor` is an alias without history
  uint64_t geometry;
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

struct NodeHooks {
  ~NodeHooks();
  void drop_callbacks();
  std::vector<Callbacks> gradient;                           // by output: called with its gradient, may replace it
  Callbacks pre, post;                                       // of the node: (grad_outputs), (grad_inputs, grad_outputs)
  std::vector<std::pair<uint32_t, AutogradMeta*>> retained;  // tensors that keep their gradient
};

struct LeafHooks : TensorHooks {
  ~LeafHooks() override;
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
  void take_number();  // Note [Order]

  SmallVector<Edge, 3> edges;
  SmallVector<OutputInfo, 1> outputs;
  std::unique_ptr<NodeHooks> hooks;
  uint64_t sequence = 0;
  bool wants_zeros = true;  // for outputs without a gradient; otherwise they are given as undefined tensors
  // The run this node waits in, and the gradients that have arrived. Note [Runs] in engine.cpp
  Run* run = nullptr;
  SmallVector<Tensor, 1> pending;

 protected:
  void destroy() override;

 private:
  const char* operator_name_;

 protected:
  mutable std::string name_;
};

std::ostream& operator<<(std::ostream& out, const Node& node);  // its name

class OperatorNode final : public Node {
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
  void holds_tensors() { holds_tensors_ = true; }  // in its derivative: it is to be freed like what was saved
  int64_t saved_bytes() const;
  Tensor unpack(size_t i);  // RuntimeError if it was freed or changed in place
  Derivative& derivative() { return derivative_; }
  void share_tangents(const Tensor* const* outputs);  // with the saved outputs

 private:
  Derivative derivative_;
  SmallVector<SavedTensor, 3> saved_;
  bool released_ = false, holds_tensors_ = false;
};

class AccumulateGrad final : public Node {  // adds to a leaf's .grad
 public:
  explicit AccumulateGrad(const Tensor& leaf);
  ~AccumulateGrad() override;
  size_t bytes() const override { return sizeof(*this); }
  void apply(const Tensor* gradients, Tensor* results, const bool* needs) override;
  const Tensor& leaf() const { return leaf_; }
  bool is_observed() const;  // has hooks to be called after accumulation

 private:
  Tensor leaf_;
};

template <class T, class... Args>
Ref<T> make_node(Args&&... args) {
  return Ref<T>::adopt(new (allocate(sizeof(T))) T(std::forward<Args>(args)...));
}

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
int visit_callbacks(AutogradMeta* meta, VisitObject visit, void* argument);
void drop_callbacks(AutogradMeta* meta);
void* wrap_grad_fn(const Tensor& t);

bool reduces_to(const Shape& from, const Shape& to);  // whether `to` broadcasts to `from`
// Sums a gradient to the shape and casts it to the dtype of what it belongs to. `sender` computed it, as its result
// `index`.
Tensor fit(Tensor gradient, const OutputInfo& info, const Node* sender, size_t index);
void accumulate_into(Tensor& slot, const Tensor& gradient);
// Calls each with the gradient; a result that is not None takes its place.
Tensor call_gradient_hooks(const Callbacks& hooks, Tensor gradient);

struct Root {
  Tensor tensor, gradient;
};
struct RunOptions {
  bool keep_graph = false, create_graph = false;
  std::vector<Tensor> inputs;      // if any: only what leads to them runs
  bool accumulate_inputs = false;  // backward(inputs=...): into their .grad, instead of returning the gradients
};
// The gradients of options.inputs, undefined where they were not reached.
std::vector<Tensor> run_backward(const std::vector<Root>& roots, const RunOptions& options);

}  // namespace flambeau::autograd
