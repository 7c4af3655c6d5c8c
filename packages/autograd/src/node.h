// The recorded graph: nodes, the edges between them, and what they saved. Internal to the engine.
//
// Note [Order]
// Every node takes the next number of one sequence when it is made, and an operator's inputs exist before it does: a node's
// number is larger than those of all nodes its gradients flow to. Running the nodes by falling number therefore is a
// topological order, and no pass over the graph is needed to find one.
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

struct NodeHooks {
  ~NodeHooks();
  std::vector<Callbacks> gradient;                        // by output: called with its gradient, may replace it
  Callbacks pre, post;                                    // of the node: (grad_outputs), (grad_inputs, grad_outputs)
  std::vector<std::pair<uint32_t, AutogradMeta*>> retained;  // tensors that keep their gradient
};

struct LeafHooks : TensorHooks {
  ~LeafHooks() override;
  Callbacks gradient, post_accumulate;
};

class Node : public GraphNode {
 public:
  explicit Node(const char* name);
  const char* name() const override { return name_.c_str(); }
  virtual size_t bytes() const = 0;  // of the object, for its allocation
  // Gradients of the outputs to those of the inputs; `results` has one slot for each edge.
  virtual void apply(const Tensor* gradients, Tensor* results, const bool* needs) = 0;
  virtual void release_saved() {}

  SmallVector<Edge, 3> edges;
  SmallVector<OutputInfo, 1> outputs;
  std::unique_ptr<NodeHooks> hooks;
  uint64_t sequence;
  // The run this node waits in, and the gradients that have arrived. Note [Runs] in engine.cpp
  Run* run = nullptr;
  SmallVector<Tensor, 1> pending;

 protected:
  void destroy() override;

 private:
  std::string name_;
};

class OperatorNode final : public Node {
 public:
  OperatorNode(const char* name, Derivative derivative) : Node(name), derivative_(std::move(derivative)) {}
  size_t bytes() const override { return sizeof(*this); }
  void apply(const Tensor* gradients, Tensor* results, const bool* needs) override;
  void release_saved() override;
  void save(const Tensor& t, int output);
  int64_t saved_bytes() const;
  Tensor unpack(size_t i);  // RuntimeError if it was freed or changed in place

 private:
  Derivative derivative_;
  SmallVector<SavedTensor, 3> saved_;
  bool released_ = false;
};

class AccumulateGrad final : public Node {  // adds to a leaf's .grad
 public:
  explicit AccumulateGrad(const Tensor& leaf);
  ~AccumulateGrad() override;
  size_t bytes() const override { return sizeof(*this); }
  void apply(const Tensor* gradients, Tensor* results, const bool* needs) override;
  const Tensor& leaf() const { return leaf_; }

 private:
  Tensor leaf_;
};

template <class T, class... Args>
Ref<T> make_node(Args&&... args) {
  return Ref<T>::adopt(new (allocate(sizeof(T))) T(std::forward<Args>(args)...));
}

AutogradMeta& meta_of(const Tensor& t);  // made if it is missing
Edge gradient_edge(const Tensor& t);     // where the gradient of t goes; none if it requires none
void set_history(const Tensor& t, const Ref<Node>& node, uint32_t index);

void record(Recording& recording);
void set_requires_grad(const Tensor& t, bool requires_grad);
void destroy_meta(AutogradMeta* meta);
void* wrap_node(GraphNode* node);

// Sums a gradient to the shape and casts it to the dtype of what it belongs to.
Tensor fit(Tensor gradient, const OutputInfo& info, const Node& node);
void accumulate_into(Tensor& slot, const Tensor& gradient);
// Calls each with the gradient; a result that is not None takes its place.
Tensor call_gradient_hooks(const Callbacks& hooks, Tensor gradient);

struct Root {
  Tensor tensor, gradient;
};
struct RunOptions {
  bool keep_graph = false, create_graph = false;
  bool accumulate = true;           // into .grad of leaves; false: only capture
  std::vector<Tensor> inputs;       // if any: only what leads to them runs
  bool accumulate_inputs = false;   // backward(inputs=...): add the captured gradients to .grad
};
// The captured gradients of options.inputs, undefined where they were not reached.
std::vector<Tensor> run_backward(const std::vector<Root>& roots, const RunOptions& options);

}  // namespace flambeau::autograd
