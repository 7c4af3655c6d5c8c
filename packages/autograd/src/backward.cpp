// backward() and grad(): check the gradients of the outputs, then run the engine.
#include "dispatched.h"
#include "engine.h"
#include "flambeau/autograd_engine.h"

namespace flambeau::autograd {

namespace {

Tensor implicit_gradient(const Shape& shape, Dtype dtype, size_t position) {
  require(product(shape) == 1, "grad can be implicitly created only for scalar outputs, but element ", position,
          " has shape ", shape, "; pass a gradient of that shape, or reduce it first, e.g. with .sum()");
  require(!is_complex(dtype), "grad can be implicitly created only for real scalar outputs but got ", dtype);
  return ones(shape, dtype);
}

Root make_root(Edge edge, const Shape& shape, Dtype dtype, const Tensor& gradient, size_t position) {
  if (!gradient.defined()) return {std::move(edge), implicit_gradient(shape, dtype, position)};
  require(gradient.shape() == shape, "Mismatch in shape: grad_output[", position, "] has a shape of ", gradient.shape(),
          " and output[", position, "] has a shape of ", shape, ".");
  require(is_complex(gradient.dtype()) == is_complex(dtype),
          "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
          "grad_output[",
          position, "] has a dtype of ", gradient.dtype(), " and output[", position, "] has a dtype of ", dtype, ".");
  return {std::move(edge), gradient};
}

RunOptions run_options(const BackwardOptions& options) {
  RunOptions out;
  out.create_graph = options.create_graph;
  out.keep_graph = options.retain_graph || options.create_graph;
  return out;
}

}  // namespace

Root root_of(const Tensor& output, const Tensor& gradient, size_t position) {
  require(output.requires_grad(), "element ", position,
          " of tensors does not require grad and does not have a grad_fn: none of the tensors that it was computed "
          "from required grad, or it was computed under no_grad(), or from a result of detach(), item() or NumPy");
  if (!gradient.defined() && output.numel() == 1 && is_dispatched(output))
    return {gradient_edge(output), dispatched_gradients->ones_like(output)};
  const OnDevice guard(output.device());
  return make_root(gradient_edge(output), output.shape(), output.dtype(), gradient, position);
}

Root root_of(const Edge& output, const Tensor& gradient, size_t position) {
  const OutputInfo& info = output.node->outputs[output.index];
  return make_root(output, info.shape, info.dtype, gradient, position);
}

void backward(const Tensor& t, const Tensor& gradient, BackwardOptions options) {
  run_backward({root_of(t, gradient, 0)}, run_options(options));
}

void backward_in_program(const Tensor& t, const Tensor& gradient, bool keep_graph, bool create_graph,
                         const std::vector<Tensor>* inputs) {
  RunOptions run;
  run.keep_graph = keep_graph, run.create_graph = create_graph;
  if (inputs) {
    require(!inputs->empty(), "'inputs' argument to backward() cannot be empty.");
    for (const Tensor& input : *inputs) {
      require(input.requires_grad(), "One of the differentiated Tensors does not require grad");
      if (meta_of(input).grad_fn) retain_grad(input);
    }
    run.inputs = gradient_edges(*inputs);
    run.accumulate_inputs = true;
  }
  run_backward({root_of(t, gradient, 0)}, run);
}

std::vector<Tensor> grad(const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                         const std::vector<Tensor>& gradients, BackwardOptions options) {
  require(gradients.empty() || gradients.size() == outputs.size(), "grad() expected a gradient for each of the ",
          outputs.size(), " outputs or none, but got ", gradients.size());
  require(!inputs.empty(), "grad() expected at least one input");
  std::vector<Root> roots;
  for (size_t i = 0; i < outputs.size(); ++i)
    roots.push_back(root_of(outputs[i], gradients.empty() ? Tensor() : gradients[i], i));
  RunOptions run = run_options(options);
  for (const Tensor& t : inputs) require(t.requires_grad(), "One of the differentiated Tensors does not require grad");
  run.inputs = gradient_edges(inputs);
  return run_backward(roots, run);
}

}  // namespace flambeau::autograd
