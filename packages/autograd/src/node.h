// The recorded graph: nodes, edges between them, and saved tensors. Private to the engine and its bindings.
//
// Note [Order]
// Every node gets the next sequence number after its edges are set. Its number is therefore larger than the numbers of
// all nodes to which its gradients flow. The descending order of numbers is a topological order. The engine runs nodes
// in this order and does not need to search the graph.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flambeau/operators.h"
#include "hooks.h"

namespace flambeau::autograd {

class AccumulateGrad;
class Node;
struct Run;

struct Edge {
  Ref<Node> node;      // node that receives the gradient; null if no gradient is required
  uint32_t index = 0;  // index of the output of this node
};

// A saved tensor in the form that the hooks of saved_tensors_hooks have created.
struct PackedTensor {
  explicit PackedTensor(const Tensor& t)
      : shape(t.shape()), dtype(t.dtype()), device(t.device()), contiguous(t.is_contiguous()) {}
  virtual ~PackedTensor() = default;
  virtual Tensor unpack() const = 0;

  Edge edge;          // edge for the gradient of the unpacked tensor
  const Shape shape;  // derivatives rely on this shape and do not check it again
  const Dtype dtype;
  const Device device;
  const bool contiguous;
};

struct SavedTensor {
  Tensor tensor;  // undefined if hooks packed it
  uint32_t version;
  // Index of the tensor among the outputs of the node that saves it, or -1. For an output, `tensor` is an alias without
  // a grad_fn.
  int output;
  uint64_t geometry;  // hash of the shape and the dtype
  std::unique_ptr<PackedTensor> packed;
};

struct OutputInfo {
  Shape shape;
  Dtype dtype;
};

class FLAMBEAU_API Node : public GraphNode {
 public:
  explicit Node(const char* operator_name) : operator_name_(operator_name) {}  // the string must never be freed
  const char* name() const override;                                           // the first call creates the name
  virtual size_t bytes() const = 0;                                         // size of the object, for its deallocation
  virtual const AccumulateGrad* as_accumulator() const { return nullptr; }  // this node or null
  // Computes the gradients of the inputs from the gradients of the outputs. `results` has one item for each edge.
  virtual void apply(const Tensor* gradients, Tensor* results, const bool* needs) = 0;
  virtual void release_saved() {}
  void take_number();  // Note [Order]

  SmallVector<Edge, 3> edges;
  SmallVector<OutputInfo, 1> outputs;
  std::unique_ptr<NodeHooks> hooks;
  uint64_t sequence = 0;
  bool wants_zeros = true;              // if true, zeros replace undefined gradients of outputs
  bool runs_without_gradients = false;  // if true, apply() is also called if no output has a gradient
  // The run in which this node waits, and the gradients that it has received so far. Note [Runs] in engine.cpp
  Run* run = nullptr;
  Gradients pending;

 protected:
  void destroy() override;

 private:
  const char* operator_name_;

 protected:
  mutable std::string name_;
};

FLAMBEAU_API std::ostream& operator<<(std::ostream& out, const Node& node);  // prints the name

class FLAMBEAU_API OperatorNode : public Node {
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
  void pack_saved(size_t i, std::unique_ptr<PackedTensor> packed);  // stores the packed form instead of the tensor
  size_t saved_count() const { return saved_.size(); }
  const SavedTensor& saved(size_t i) const { return saved_[i]; }
  int saved_output(size_t i) const { return saved_[i].output; }
  const Tensor& saved_tensor(size_t i) const { return saved_[i].tensor; }
  void require_saved() const;                      // raises RuntimeError if the saved tensors were freed
  void holds_tensors() { holds_tensors_ = true; }  // the derivative contains tensors, so it is freed like saved tensors
  int64_t saved_bytes() const;
  // Returns a saved tensor. If `with_history` is set, an output gets its grad_fn. Raises RuntimeError if the tensor was
  // changed in place.
  Tensor unpack(size_t i, bool with_history = true);
  Derivative& derivative() { return derivative_; }
  void share_tangents(const Tensor* const* outputs);  // copies the tangents of the outputs to their saved aliases
  bool in_python = false;                             // true if the derivative calls Python operators

 protected:
  SmallVector<SavedTensor, 3> saved_;
  bool released_ = false, holds_tensors_ = false;
  int applying_ = 0;  // number of threads that run the derivative; the last one may free it

 private:
  Derivative derivative_;
};

class FLAMBEAU_API AccumulateGrad final : public Node {  // node of a leaf, which adds a gradient to the leaf's .grad
 public:
  explicit AccumulateGrad(const Tensor& leaf);
  ~AccumulateGrad() override;
  const char* name() const override { return "AccumulateGrad"; }
  size_t bytes() const override { return sizeof(*this); }
  const AccumulateGrad* as_accumulator() const override { return this; }
  void apply(const Tensor* gradients, Tensor* results, const bool* needs) override;
  const Tensor& leaf() const { return leaf_; }
  bool is_observed() const;                  // returns true if the leaf has hooks to call after accumulation
  void check(const Tensor& gradient) const;  // checks that the gradient can be added to .grad

 private:
  Tensor leaf_;
};

template <class T, class... Args>
Ref<T> make_node(Args&&... args) {
  return Ref<T>::adopt(new (allocate(sizeof(T))) T(std::forward<Args>(args)...));
}

FLAMBEAU_API Edge gradient_edge(const Tensor& t);  // returns an empty edge if t requires no gradient
FLAMBEAU_API std::vector<Edge> gradient_edges(const std::vector<Tensor>& tensors);
void set_history(const Tensor& t, const Ref<Node>& node, uint32_t index);
FLAMBEAU_API void detach_(const Tensor& t);  // removes the grad_fn of t

void record(Recording& recording);
// Makes t output number `index` of a node with the given inputs.
FLAMBEAU_API void become_output(const Tensor& t, const Ref<OperatorNode>& node, uint32_t index, Recording::Kind kind,
                                const Tensor* const* inputs, int count);

// Converts a gradient to the shape (by summing) and the dtype of its tensor, which `info` describes. For error
// messages: `sender` is the node that has computed the gradient, and `index` the position among the results of this
// node.
Tensor fit(Tensor gradient, const OutputInfo& info, const Node* sender, size_t index);
bool reduces_to(const Shape& from, const Shape& to);  // returns true if `to` broadcasts to `from`
void accumulate_into(Tensor& slot, const Tensor& gradient, const Tensor& leaf);  // `slot` is the .grad of the leaf
Tensor unshared(const Tensor& gradient);  // returns the gradient, or a copy if its memory is shared

// Note [Cycles of gradients] in cycles.cpp
void suspect_cycle(const Tensor& leaf);         // call this for a leaf whose .grad has a graph
void forget_suspect(const AutogradMeta& meta);  // call this when the leaf is deleted

}  // namespace flambeau::autograd
