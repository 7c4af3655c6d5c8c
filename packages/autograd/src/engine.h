// The backward pass over the graph. Private to the engine and its bindings.
#pragma once

#include <functional>

#include "node.h"

namespace flambeau::autograd {

struct Root {  // an output at which a run starts
  Edge edge;
  Tensor gradient;
  Root(Edge e, Tensor g) : edge(std::move(e)), gradient(std::move(g)) {}
  Root(const Tensor& t, Tensor g) : Root(gradient_edge(t), std::move(g)) {}
};
// Checks the gradient of an output. If the gradient is undefined and the output is a real tensor of one element,
// creates a gradient of 1. `position` is the index of the output, for error messages.
FLAMBEAU_API Root root_of(const Tensor& output, const Tensor& gradient, size_t position);
FLAMBEAU_API Root root_of(const Edge& output, const Tensor& gradient, size_t position);

struct RunOptions {
  bool keep_graph = false, create_graph = false;
  std::vector<Edge> inputs;        // if not empty, only nodes on paths to these inputs run
  bool accumulate_inputs = false;  // backward(inputs=...): accumulate into .grad instead of returning the gradients
};
// Runs a backward pass. Returns the gradients of options.inputs, undefined for inputs that were not reached.
FLAMBEAU_API std::vector<Tensor> run_backward(const std::vector<Root>& roots, const RunOptions& options);

// Calls the derivative of a node with a gradient for each output, outside a run and without hooks. Gradients may be
// undefined. Returns a gradient for each input, which is undefined if the input requires no gradient. AccumulateGrad
// adds the gradient to .grad and returns nothing.
FLAMBEAU_API std::vector<Tensor> call_node(Node& node, const std::vector<Tensor>& gradients);

// Implements Tensor.backward() in traced programs. Note [Training programs]
void backward_in_program(const Tensor& t, const Tensor& gradient, bool keep_graph, bool create_graph,
                         const std::vector<Tensor>* inputs);

// Properties of the backward pass that runs in this thread. current_run() returns the number of the pass, or -1 if no
// pass is running. current_node() returns the node that is running, or null. run_reaches() returns true if the pass
// reaches the node.
FLAMBEAU_API int64_t current_run();
FLAMBEAU_API Node* current_node();
FLAMBEAU_API bool run_reaches(Node* node);
FLAMBEAU_API bool run_captures(Node* node);  // returns true if the pass returns gradients of outputs of the node
FLAMBEAU_API bool run_is_selective();        // returns true if the pass runs only nodes on paths to given inputs
// Adds a callback that is called at the end of the current backward pass. Raises an error if no pass is running.
FLAMBEAU_API void call_at_end(std::function<void()> callback);

}  // namespace flambeau::autograd
