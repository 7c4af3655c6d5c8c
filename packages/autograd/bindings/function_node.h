// The node of a user's autograd.Function and the context that its forward and backward share. Internal.
//
// Note [Function contexts]
// The context (ctx) that forward and backward share is a Python object held by the node. It knows its node without
// holding it, so that no cycle comes of it; what is saved for backward belongs to the node, and is freed with it.
#pragma once

#include "bind.h"

namespace flambeau::autograd {

class FunctionNode;

struct FunctionContext {
  PyObject_HEAD PyObject *dict, *weak_references;
  PyObject *needs_input_grad, *to_save, *saved_for_forward, *dirty, *non_differentiable;  // null until they are set
  FunctionNode* node;  // borrowed; null before it is recorded and after the node is gone
  bool materialize;
};

extern PyTypeObject* context_type;  // FunctionCtx, once make_context_type has run
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
    in_python = true;
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

  SmallVector<int, 4> returned;  // of each value that forward returned: which output of the node it is, or -1
  SmallVector<bool, 8> given;    // of each argument: whether it was a tensor
  SmallVector<bool, 4> kept;     // of each value to save: whether it was a tensor, not None

 private:
  void take(PyObject* returned_gradients, Tensor* results, const bool* needs) const;

  PyTypeObject* function_;
  FunctionContext* context_;
};

}  // namespace flambeau::autograd
