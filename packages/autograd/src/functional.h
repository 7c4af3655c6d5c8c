// Engine functions for the transforms of flambeau.func.
#pragma once

#include "engine.h"

namespace flambeau::autograd {

// The graph node of an input of a transform that is not differentiated outside the transform. Gradients end at this
// node. In contrast to a leaf, the input may be changed in place. The change gives it another grad_fn, but the
// transform still computes the gradient with respect to this node.
class Origin final : public Node {
 public:
  explicit Origin(const Tensor& t) : Node(nullptr), is_open(true) {
    name_ = "Origin";
    outputs.push_back({t.shape(), t.dtype()});
    take_number();
  }
  size_t bytes() const override { return sizeof(*this); }
  void apply(const Tensor*, Tensor*, const bool*) override {}
  bool is_open;  // true while the function runs: nested transforms then treat the input as a tensor that requires grad
};

// Returns two tensors that share the elements of t and one graph node. If grad mode is on and t requires grad, the node
// records an alias of t. Otherwise it is a new Origin. The transform computes the gradient of the first tensor and
// passes the second tensor to the function.
FLAMBEAU_API std::pair<Tensor, Tensor> leaf_of(const Tensor& t);
FLAMBEAU_API void close(const std::vector<Tensor>& leaves);  // sets is_open of the leaves' Origins to false

// Returns true if the outputs depend on tensors other than the leaves that require a gradient.
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
// also detached.
FLAMBEAU_API Tensor detached(const Tensor& t);

// Returns the Jacobian of one output: for each leaf, a tensor whose shape is the shape of the output followed by the
// shape of the leaf. With `create_graph`, the computation is recorded. With `keep_graph`, the graph is not freed after
// the last row.
FLAMBEAU_API std::vector<Tensor> jacobian(const Tensor& output, const std::vector<Tensor>& leaves, bool create_graph,
                                          bool keep_graph);

}  // namespace flambeau::autograd
