// Running the graph backwards. Internal to the engine and its bindings.
#pragma once

#include <functional>

#include "node.h"

namespace flambeau::autograd {

struct Root {  // where a run starts
  Edge edge;
  Tensor gradient;
  Root(Edge e, Tensor g) : edge(std::move(e)), gradient(std::move(g)) {}
  Root(const Tensor& t, Tensor g) : Root(gradient_edge(t), std::move(g)) {}
};
// Check a gradient, or make one for a real output of one element. `position`: which of the outputs it is, for errors.
FLAMBEAU_API Root root_of(const Tensor& output, const Tensor& gradient, size_t position);
FLAMBEAU_API Root root_of(const Edge& output, const Tensor& gradient, size_t position);

struct RunOptions {
  bool keep_graph = false, create_graph = false;
  std::vector<Edge> inputs;        // if any: only what leads to them runs
  bool accumulate_inputs = false;  // backward(inputs=...): into their .grad, instead of returning the gradients
};
// The gradients of options.inputs, undefined where they were not reached.
FLAMBEAU_API std::vector<Tensor> run_backward(const std::vector<Root>& roots, const RunOptions& options);

// Tensor.backward() as programs run it. Note [Training programs]
void backward_in_program(const Tensor& t, const Tensor& gradient, bool keep_graph, bool create_graph,
                         const std::vector<Tensor>* inputs);

// Of this thread: the number of the run, -1 outside of one; the node at work, or null; whether the run reaches a node.
FLAMBEAU_API int64_t current_run();
FLAMBEAU_API Node* current_node();
FLAMBEAU_API bool run_reaches(Node* node);
FLAMBEAU_API bool run_captures(Node* node);                     // it returns a gradient of the node's outputs
FLAMBEAU_API bool run_is_selective();                           // it runs only what leads to given inputs
FLAMBEAU_API void call_at_end(std::function<void()> callback);  // of the run in progress, or it raises

}  // namespace flambeau::autograd
