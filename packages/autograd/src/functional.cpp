#include "functional.h"

#include <unordered_set>

#include "forward_mode.h"

namespace flambeau::autograd {

std::pair<Tensor, Tensor> leaf_of(const Tensor& t) {
  require(is_inexact(t.dtype()), "only Tensors of floating point and complex dtype can require gradients, got ",
          t.dtype(), "; convert first, e.g. x.float()");
  Tensor kept = alias(t), given = alias(t);
  if (recording(t)) record_alias(kept, t);
  if (!kept.requires_grad()) set_history(kept, make_node<Origin>(t), 0);
  copy_tangents(kept, given);
  set_history(given, gradient_edge(kept).node, 0);
  return {kept, given};
}

void close(const std::vector<Tensor>& leaves) {
  for (const Tensor& leaf : leaves)
    if (auto* origin = dynamic_cast<Origin*>(gradient_edge(leaf).node.get())) origin->is_open = false;
}

bool depends_on_others(const std::vector<Tensor>& outputs, const std::vector<Tensor>& leaves) {
  std::unordered_set<const Node*> own, visited;
  for (const Tensor& leaf : leaves) {
    const Ref<Node> node = gradient_edge(leaf).node;
    require(bool(node), "function transform: an input to differentiate must require grad, got a tensor of shape ",
            leaf.shape());
    if (!node->edges.empty()) return true;
    own.insert(node.get());
  }
  std::vector<Ref<Node>> start_nodes;  // keeps nodes alive that nothing else references
  std::vector<const Node*> stack;
  auto start = [&](const Tensor& t, auto& self) -> void {
    start_nodes.push_back(gradient_edge(t).node);
    if (start_nodes.back()) stack.push_back(start_nodes.back().get());
    if (t.dual())
      for (size_t level = 0; level < visible_levels(); ++level)
        if (const Tensor tangent = tangent_of(t, level); tangent.defined()) self(tangent, self);
  };
  for (const Tensor& t : outputs) start(t, start);
  while (!stack.empty()) {
    const Node* node = stack.back();
    stack.pop_back();
    if (!visited.insert(node).second) continue;
    if (node->edges.empty() && !own.count(node)) {
      const auto* origin = dynamic_cast<const Origin*>(node);
      if (!origin || origin->is_open) return true;
    }
    for (const Edge& e : node->edges)
      if (e.node) stack.push_back(e.node.get());
  }
  return false;
}

LeafGradients leaf_gradients(const std::vector<Tensor>& outputs, const std::vector<Tensor>& leaves,
                             const std::vector<Tensor>& cotangents, bool follow, bool keep_graph) {
  RunOptions options;
  options.inputs = gradient_edges(leaves);
  const bool depends = follow && depends_on_others(outputs, leaves);
  options.create_graph = depends;
  close(leaves);
  std::vector<Root> roots;
  for (size_t i = 0; i < outputs.size(); ++i) {
    options.create_graph |= follow && cotangents[i].defined() && cotangents[i].requires_grad();
    if (outputs[i].requires_grad()) roots.push_back(root_of(outputs[i], cotangents[i], i));
  }
  options.keep_graph = keep_graph || options.create_graph;
  std::vector<Tensor> gradients(leaves.size());
  if (!roots.empty()) gradients = run_backward(roots, options);
  for (size_t i = 0; i < leaves.size(); ++i)
    if (!gradients[i].defined()) gradients[i] = zeros(leaves[i].shape(), leaves[i].dtype());
  return {std::move(gradients), depends};
}

Tensor detached(const Tensor& t) {
  const Tensor out = alias(t);
  if (t.dual())
    for (size_t level = 0; level < visible_levels(); ++level)
      if (const Tensor tangent = tangent_of(t, level); tangent.defined()) set_tangent(out, level, detached(tangent));
  return out;
}

namespace {

Tensor unit(const Tensor& like, int64_t position) {
  const Tensor out = zeros(like.shape(), like.dtype());
  dispatch_all(like.dtype(), [&](auto tag) {
    using T = typename decltype(tag)::type;
    out.data<T>()[position] = Scalar(1).to<T>();
  });
  return out;
}

Shape joined(const Shape& first, const Shape& second) {
  Shape out = first;
  for (int64_t s : second) out.push_back(s);
  return out;
}

}  // namespace

std::vector<Tensor> jacobian(const Tensor& output, const std::vector<Tensor>& leaves, bool create_graph,
                             bool keep_graph) {
  const int64_t rows = output.numel();
  close(leaves);
  std::vector<Tensor> out;
  if (!output.requires_grad() || rows == 0) {
    for (const Tensor& leaf : leaves) out.push_back(zeros(joined(output.shape(), leaf.shape()), leaf.dtype()));
    return out;
  }
  std::vector<Tensors> recorded(leaves.size());
  for (const Tensor& leaf : leaves)
    if (!create_graph) out.push_back(zeros(joined({rows}, leaf.shape()), leaf.dtype()));
  RunOptions options;
  options.create_graph = create_graph;
  options.inputs = gradient_edges(leaves);
  for (int64_t row = 0; row < rows; ++row) {
    options.keep_graph = create_graph || keep_graph || row + 1 < rows;
    const std::vector<Tensor> gradients = run_backward({{output, unit(output, row)}}, options);
    for (size_t i = 0; i < leaves.size(); ++i) {
      const Tensor& g = gradients[i];
      if (create_graph)
        recorded[i].push_back(g.defined() ? g : zeros(leaves[i].shape(), leaves[i].dtype()));
      else if (g.defined())
        copy_values(select(out[i], 0, row), g);
    }
  }
  for (const Tensors& gradients : recorded)
    if (create_graph) out.push_back(stack(gradients, 0));
  for (size_t i = 0; i < leaves.size(); ++i) out[i] = view(out[i], joined(output.shape(), leaves[i].shape()));
  return out;
}

}  // namespace flambeau::autograd
