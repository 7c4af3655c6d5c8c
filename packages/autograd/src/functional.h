// Engine functions for the transforms of flambeau.func.
#pragma once

#include "engine.h"

namespace flambeau::autograd {

// The node of an input of a transform. Gradients end at it, because the input is not differentiated outside of the
// transform. In contrast to a leaf, the input may be changed in place, which gives it another grad_fn; the transform
// still computes the gradient with respect to this node.
class Origin final : public Node {
 public:
  explicit Origin(const Tensor& t) : Node(nullptr), is_open(true) {
    name_ = "Origin";
    outputs.push_back({t.shape(), t.dtype()});
    take_number();
  }
  size_t bytes() const override { return sizeof(*this); }
  void apply(const Tensor*, Tensor*, const bool*) override {}
  bool is_open;  // true while the function runs; nested transforms then treat the input as requiring a gradient
};

// Returns two tensors that share the elements of t and a node. The node is that of t if t has one and grad mode is on,
// otherwise a new Origin. The transform computes the gradient of the first tensor and passes the second one to the
// function.
FLAMBEAU_API std::pair<Tensor, Tensor> leaf_of(const Tensor& t);
FLAMBEAU_API void close(const std::vector<Tensor>& leaves);

// Returns true if the outputs depend on tensors that require a gradient, other than the leaves.
FLAMBEAU_API bool depends_on_others(const std::vector<Tensor>& outputs, const std::vector<Tensor>& leaves);

struct LeafGradients {
  std::vector<Tensor> gradients;  // one for each leaf; zeros for a leaf that the outputs do not depend on
  bool depends;                   // true if the outputs depend on other tensors that require a gradient
};
// Returns the gradients of a transform's leaves. `cotangents` has a gradient, or an undefined tensor, for each output.
// With `follow`, the gradients are recorded if the outputs depend on other tensors that require a gradient, or if a
// cotangent requires a gradient.
FLAMBEAU_API LeafGradients leaf_gradients(const std::vector<Tensor>& outputs, const std::vector<Tensor>& leaves,
                                          const std::vector<Tensor>& cotangents, bool follow, bool keep_graph);

// Returns another tensor with the storage of t that is detached from the graph. It has the tangents of t, which are
// detached, too.
FLAMBEAU_API Tensor detached(const Tensor& t);

// Returns the Jacobian of one output: for each leaf, a tensor whose shape is that of the output followed by that of the
// leaf. `create_graph`: records the computation. `keep_graph`: does not free the graph after the last row.
FLAMBEAU_API std::vector<Tensor> jacobian(const Tensor& output, const std::vector<Tensor>& leaves, bool create_graph,
                                          bool keep_graph);

}  // namespace flambeau::autograd
