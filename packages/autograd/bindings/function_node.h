// The graph node of an autograd.Function, and the context that its forward and backward share. This header is not
// installed.
//
// Note [Function contexts]
// The node holds the context (ctx), a Python object that forward and backward share. The context has a borrowed pointer
// to its node, so that node and context form no reference cycle. Values saved for backward belong to the node and are
// freed with the node.
#pragma once

#include "bind.h"

namespace flambeau::autograd {

class FunctionNode;

struct FunctionContext {
  PyObject_HEAD PyObject *dict, *weak_references;
  PyObject *needs_input_grad, *to_save, *saved_for_forward, *dirty, *non_differentiable;  // null until they are set
  FunctionNode* node;  // borrowed; null before the call is recorded and after the node is deleted
  bool materialize;
};

extern PyTypeObject* context_type;  // FunctionCtx; set by make_context_type
void make_context_type();
PyObject* new_context();
inline FunctionContext* context_of(PyObject* o) { return reinterpret_cast<FunctionContext*>(o); }

struct Names {
  PyObject *forward = PyUnicode_InternFromString("forward"), *backward = PyUnicode_InternFromString("backward"),
           *vjp = PyUnicode_InternFromString("vjp"), *jvp = PyUnicode_InternFromString("jvp"),
           *setup_context = PyUnicode_InternFromString("setup_context");
};
inline const Names& names() {
  static const Names* all = new Names;
  return *all;
}

inline const Tensor* tensor_in(PyObject* o) { return python_interface->unwrap(o); }

class FunctionNode final : public OperatorNode {
 public:
  FunctionNode(PyTypeObject* function, FunctionContext* context)
      : OperatorNode(nullptr, Derivative()), function_(function), context_(context) {
    Py_INCREF(function_);
    Py_INCREF(context_);
    context_->node = this;
    in_python = runs_without_gradients = true;
  }
  ~FunctionNode() override {
    context_->node = nullptr;
    Py_DECREF(context_);
    Py_DECREF(function_);
  }
  size_t bytes() const override { return sizeof(*this); }
  const char* name() const override {
    if (name_.empty()) name_ = std::string(function_->tp_name) + "Backward";
    return name_.c_str();
  }
  PyObject* context() const { return reinterpret_cast<PyObject*>(context_); }
  void release_saved() override {
    released_ = !saved_.empty() || released_;
    saved_.clear();
  }
  void apply(const Tensor* gradients, Tensor* results, const bool* needs) override;
  pybind11::tuple saved_tensors();

  SmallVector<int, 4> returned;          // for each value that forward returned: index of the node's output, or -1
  SmallVector<bool, 8> given;            // for each argument: true if it was a tensor
  SmallVector<bool, 4> saved_is_tensor;  // for each value to save: true if it was a tensor, false for None

 private:
  void take(PyObject* returned_gradients, Tensor* results, const bool* needs) const;

  PyTypeObject* function_;
  FunctionContext* context_;
};

}  // namespace flambeau::autograd
