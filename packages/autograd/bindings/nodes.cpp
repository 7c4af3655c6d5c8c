// Python objects for the nodes of the graph.
#include "bind.h"
#include "function_node.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <map>
#include <mutex>
#include <string_view>

#include "flambeau/fork_safe_mutex.h"

namespace py = pybind11;

namespace flambeau::autograd {

namespace {

const OperatorNode* operator_node(const Node& n) { return dynamic_cast<const OperatorNode*>(&n); }

py::object wrapped(const Tensor& t) {
  return t.defined() ? py::reinterpret_steal<py::object>(wrap(t)) : py::object(py::none());
}

// A map from names to the Python classes of nodes, such as MulBackward0. Like types of a C++ module, the classes are
// never freed.
class NodeClasses {
 public:
  PyObject* find(std::string_view name) {
    const std::lock_guard lock(mutex_);
    const auto found = classes_.find(name);
    return found == classes_.end() ? nullptr : found->second;
  }
  PyObject* add(const char* name, py::object made) {
    const std::lock_guard lock(mutex_);
    const auto [at, is_new] = classes_.try_emplace(name, made.ptr());  // another thread may have added the class
    if (is_new) made.release();
    return at->second;
  }

 private:
  ForkSafeMutex mutex_;
  std::map<std::string, PyObject*, std::less<>> classes_;
};

py::handle class_named(const char* name) {
  static NodeClasses& classes = *new NodeClasses;
  if (PyObject* const known = classes.find(name)) return known;
  const py::type base = py::type::of<Node>();
  py::dict members;
  members["__slots__"] = py::tuple();
  members["__module__"] = base.attr("__module__");
  return classes.add(name, py::module_::import("builtins").attr("type")(name, py::make_tuple(base), members));
}

// Returns the Python object of a node, whose class has the node's name, such as MulBackward0. py::cast would use the
// class Node.
py::object shown(const Ref<Node>& node) {
  if (!node) return py::none();
  const py::detail::type_info* const type = py::detail::get_type_info(typeid(Node));
  if (const py::handle known = py::detail::get_object_handle(node.get(), type))
    return py::reinterpret_borrow<py::object>(known);
  const py::handle kind = class_named(node->name());
  py::object made =
      py::reinterpret_steal<py::object>(py::detail::make_new_instance(reinterpret_cast<PyTypeObject*>(kind.ptr())));
  auto* const instance = reinterpret_cast<py::detail::instance*>(made.ptr());
  instance->get_value_and_holder().value_ptr() = node.get();
  instance->owned = true;
  type->init_instance(instance, &node);
  return made;
}

py::tuple next_functions(const Node& n) {
  py::tuple out(n.edges.size());
  for (size_t i = 0; i < n.edges.size(); ++i) out[i] = py::make_tuple(shown(n.edges[i].node), n.edges[i].index);
  return out;
}

// Returns PyTorch's name of a node. The name of a leaf includes its C++ namespace.
std::string full_name(const Node& n) { return (n.as_accumulator() ? "torch::autograd::" : "") + std::string(n.name()); }

// Returns, for each saved tensor, the index of the input that is the same tensor, or -1 if the input is unknown.
// Tensors are the same if their gradients have the same edge. If a tensor is passed as several inputs, its saved copies
// are assigned to these inputs in order. If only one saved tensor and only one input have no gradient, they are the
// same. Exception: if the saved tensor is not the first one and the operator has more than two inputs, it may be an
// intermediate result, such as the statistics of a normalisation.
std::vector<int> inputs_of(const OperatorNode& node) {
  std::vector<int> found(node.saved_count(), -1);
  std::vector<bool> taken(node.edges.size());
  std::vector<size_t> constant;  // positions of saved tensors without a gradient
  for (size_t i = 0; i < found.size(); ++i) {
    const SavedTensor& saved = node.saved(i);
    if (saved.output >= 0) continue;
    const Edge edge = saved.packed ? saved.packed->edge : gradient_edge(saved.tensor);
    const Dtype dtype = saved.packed             ? saved.packed->dtype
                        : saved.tensor.defined() ? saved.tensor.dtype()
                                                 : Dtype::bool_;
    if (!edge.node && is_inexact(dtype)) constant.push_back(i);
    for (size_t k = 0; edge.node && found[i] < 0 && k < taken.size(); ++k)
      if (!taken[k] && node.edges[k].node == edge.node && node.edges[k].index == edge.index) {
        found[i] = int(k);
        taken[k] = true;
      }
  }
  const auto has_no_gradient = [](const Edge& edge) { return !edge.node; };
  const auto first = std::find_if(node.edges.begin(), node.edges.end(), has_no_gradient);
  if (constant.size() == 1 && (constant[0] == 0 || node.edges.size() == 2) &&
      std::count_if(node.edges.begin(), node.edges.end(), has_no_gradient) == 1)
    found[constant[0]] = int(first - node.edges.begin());
  return found;
}

OperatorNode& saving_node(Node& n, size_t i) {
  auto* node = dynamic_cast<OperatorNode*>(&n);
  require(node, n, " has no saved tensors");
  node->require_saved();
  require<IndexError>(i < node->saved_count(), n, " saves ", node->saved_count(),
                      " tensors; there is none at position ", i);
  return *node;
}

// Returns, for each saved tensor, the index of the input and the index of the output that is the same tensor, or -1.
py::list saved_sources(Node& n) {
  const auto* node = dynamic_cast<OperatorNode*>(&n);
  if (!node) return py::list();
  node->require_saved();
  const std::vector<int> inputs = inputs_of(*node);
  py::list out;
  for (size_t i = 0; i < inputs.size(); ++i) out.append(py::make_tuple(inputs[i], node->saved_output(i)));
  return out;
}

py::object unpack_saved(Node& n, size_t i) { return wrapped(saving_node(n, i).unpack(i)); }

SavedReference saved_reference(Node& n, size_t i) {
  const SavedTensor& saved = saving_node(n, i).saved(i);
  return {Ref<Node>(&n), saved.packed || saved.tensor.defined() ? int(i) : -1};
}

// Returns the shape, dtype and bytes of each saved tensor, without unpacking it.
py::list saved_sizes(const Node& n) {
  py::list out;
  const OperatorNode* node = operator_node(n);
  for (size_t i = 0; node && i < node->saved_count(); ++i)
    if (const Tensor& t = node->saved_tensor(i); t.defined()) {
      const py::object tensor = wrapped(alias(t));
      out.append(py::make_tuple(tensor.attr("shape"), tensor.attr("dtype"), t.numel() * item_size(t.dtype())));
    }
  return out;
}

py::tuple output_sizes(const Node& n) {  // (shape, dtype) of each output
  py::tuple out(n.outputs.size());
  for (size_t i = 0; i < n.outputs.size(); ++i) {
    const py::object example = wrapped(empty({0}, n.outputs[i].dtype));
    out[i] =
        py::make_tuple(py::tuple(py::cast(std::vector<int64_t>(n.outputs[i].shape.begin(), n.outputs[i].shape.end()))),
                       example.attr("dtype"));
  }
  return out;
}

py::object metadata(Node& n) {
  std::shared_ptr<void>& held = node_hooks(n).metadata;
  if (!held) {
    py::dict made;
    if (n.hooks->call_site) {
      made["traceback_"] = traceback_lines(n);
      if (n.hooks->call_site->parent) made["parent_"] = shown(n.hooks->call_site->parent);
    }
    held.reset(made.release().ptr(), [](PyObject* dict) { Py_DECREF(dict); });
  }
  return py::reinterpret_borrow<py::object>(static_cast<PyObject*>(held.get()));
}

Tensor variable(const Node& n) {
  const AccumulateGrad* leaf = n.as_accumulator();
  if (!leaf) throw py::attribute_error("only AccumulateGrad nodes have a variable");
  return leaf->leaf();
}

py::object context(const Node& n) {
  PyObject* held = function_context(n);
  return held ? py::reinterpret_borrow<py::object>(held) : py::object(py::none());
}

py::object call(Node& n, const py::args& given) {
  require<TypeError>(given.size() == n.outputs.size(), "expected ", n.outputs.size(), " arguments, got ", given.size(),
                     " instead: ", n, " takes one gradient for each output");
  std::vector<Tensor> gradients;
  for (const py::handle each : given) {
    const Tensor* const gradient = tensor_in(each.ptr());
    require<TypeError>(gradient || each.is_none(), "expected gradients that are Tensors or None, got ",
                       Py_TYPE(each.ptr())->tp_name);
    gradients.push_back(gradient ? *gradient : Tensor());
  }
  const std::vector<Tensor> results = call_node(n, gradients);
  if (results.size() == 1) return wrapped(results[0]);
  py::tuple out(results.size());
  for (size_t i = 0; i < results.size(); ++i) out[i] = wrapped(results[i]);
  return out;
}

std::string repr(const py::object& self) {
  return "<" + std::string(self.cast<Node&>().name()) + " object at " +
         py::str(py::module_::import("builtins").attr("hex")(reinterpret_cast<size_t>(&self.cast<Node&>())))
             .cast<std::string>() +
         ">";
}

}  // namespace

PyObject* wrap_grad_fn(const Tensor& t) {
  const Edge edge = gradient_edge(t);
  if (!edge.node || !meta_of(t).grad_fn) return py::object(py::none()).release().ptr();
  return shown(edge.node).release().ptr();
}

void bind_nodes(py::module_& m) {
  const auto exclusive = [](auto getter) { return py::cpp_function(getter, py::call_guard<InterpreterSection>()); };
  py::class_<Node, Ref<Node>>(m, "Node", R"(Node of the autograd graph: a recorded operation.

>>> x = fb.ones(2, requires_grad=True)
>>> node = x.exp().sum().grad_fn
>>> node.name(), node.next_functions[0][0].name()
('SumBackward0', 'ExpBackward0'))")
      .def_static(
          "__new__",
          [](const py::args&, const py::kwargs&) -> py::object {  // makes copy.copy and pickle raise an error
            throw py::type_error(
                "nodes of the autograd graph are created by recorded operations; they cannot be constructed or copied");
          })
      .def("name", &full_name, "Return the name of the operator with the suffix Backward0.")
      .def("__repr__", &repr)
      .def("__call__", &call, py::call_guard<InterpreterSection>(),
           "Compute the gradients of the inputs from the gradients of the outputs (or None). Hooks are not called.")
      .def_property_readonly("next_functions", exclusive(&next_functions),
                             "Tuple of pairs: a node that receives a gradient, and the index of its output.")
      .def_property_readonly("metadata", exclusive(&metadata), "Dict for user data of the node.")
      .def_property_readonly("variable", exclusive(&variable), "Leaf tensor of an AccumulateGrad node.")
      .def(
          "_sequence_nr", [](const Node& n) { return n.sequence; },
          "Return the sequence number of the node. Nodes that are recorded later have larger numbers.")
      .def_property_readonly("_bytes_saved", exclusive([](const Node& n) {
                               const OperatorNode* node = operator_node(n);
                               return node ? node->saved_bytes() : 0;
                             }))
      .def_property_readonly("_sources_of_saved", exclusive(&saved_sources))
      .def("_unpack_saved", &unpack_saved, py::call_guard<InterpreterSection>())
      .def("_reference_to_saved", &saved_reference, py::call_guard<InterpreterSection>())
      .def_property_readonly("_raw_saved_tensors", exclusive(&function_references))
      .def_property_readonly("_sizes_saved", exclusive(&saved_sizes))
      .def_property_readonly("_output_sizes", exclusive(&output_sizes))
      .def_property_readonly("_function_context", exclusive(&context));
  const auto edge_of = [](const Tensor& t) {
    const Edge edge = gradient_edge(t);
    require(bool(edge.node),
            "It is not possible to get the gradient edge for a Tensor that does not require gradients");
    return py::make_tuple(shown(edge.node), edge.index);
  };
  define(m, "gradient_edge", edge_of, tensor_argument());
  define(m, "current_run", &current_run);
  define(m, "run_is_selective", &run_is_selective);
  define(m, "run_reaches", [](Node& n) { return run_reaches(&n); });
  define(m, "run_captures", [](Node& n) { return run_captures(&n); });
  define(m, "node_class", [](const std::string& name) { return class_named(name.c_str()); });
  define(m, "current_node", [] {
    Node* node = current_node();
    return shown(Ref<Node>(node));
  });
}

}  // namespace flambeau::autograd
