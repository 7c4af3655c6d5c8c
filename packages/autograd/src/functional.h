// Functions of the engine for the transforms of flambeau.func.
#pragma once

#include "engine.h"

namespace flambeau::autograd {

// The node of a transform's input, at which gradients end, since the input is not differentiated outside of the
// transform. Unlike a leaf, the input can be changed in place, which gives it another grad_fn. The transform computes
// the gradient at this node.
class Origin final : public Node {
 public:
  explicit Origin(const Tensor& t) : Node(nullptr), is_open(true) {
    name_ = "Origin";
    outputs.push_back({t.shape(), t.dtype()});
    take_number();
  }
  size_t bytes() const override { return sizeof(*this); }
  void apply(const Tensor*, Tensor*, const bool*) override {}
  bool is_open;  // its function still runs: transforms inside of it see a tensor that somebody differentiates
};

// Two tensors over the elements of t, with one history: an Origin, or that of t, if it has one and grad mode is on. The
// first is what a transform keeps to ask for the gradient of, the second what the function is given.
FLAMBEAU_API std::pair<Tensor, Tensor> leaf_of(const Tensor& t);
FLAMBEAU_API void close(const std::vector<Tensor>& leaves);

// Returns true if the outputs were computed from tensors that require a gradient, other than the leaves.
FLAMBEAU_API bool depends_on_others(const std::vector<Tensor>& outputs, const std::vector<Tensor>& leaves);

struct LeafGradients {
  std::vector<Tensor> gradients;  // one for each leaf; zeros for a leaf that the outputs do not depend on
  bool depends;                   // the outputs depend on other tensors that require a gradient
};
// The gradients of a transform's leaves. `cotangents` has a gradient, or an undefined tensor, for each output. With
// `follow`, the gradients are recorded if the outputs depend on others, or if a cotangent requires a gradient.
FLAMBEAU_API LeafGradients leaf_gradients(const std::vector<Tensor>& outputs, const std::vector<Tensor>& leaves,
                                          const std::vector<Tensor>& cotangents, bool follow, bool keep_graph);

// Another tensor with the storage of t, detached from the graph; so are its tangents.
FLAMBEAU_API Tensor detached(const Tensor& t);

// The rows of the Jacobian of one output, stacked: for each leaf a tensor of the shape of the output followed by that
// of the leaf. `create_graph`: they can be differentiated
// themselves; `keep_graph`: the graph is not freed by the last row.
FLAMBEAU_API std::vector<Tensor> jacobian(const Tensor& output, const std::vector<Tensor>& leaves, bool create_graph,
                                          bool keep_graph);

}  // namespace flambeau::autograd
