// The extension module flambeau.autograd._engine: backward passes over the graph.
#include "bind.h"
#include "flambeau/guarded_calls.h"
#include "forward_mode.h"
#include "functional.h"

#include <pybind11/stl.h>

#include <algorithm>
#include <optional>

namespace py = pybind11;

namespace flambeau::autograd {

namespace {

Tensor optional_tensor(PyObject* o, const char* what) {
  if (!o || o == Py_None) return Tensor();
  const Tensor* t = python_interface->unwrap(o);
  require<TypeError>(t, what, " must be a Tensor or None, not ", Py_TYPE(o)->tp_name);
  return *t;
}

// Returns the edge for an autograd.graph.GradientEdge or another tuple that begins with a node and an output index.
// Returns nothing for other objects.
std::optional<Edge> edge_from(PyObject* o) {
  if (!PyTuple_Check(o) || PyTuple_GET_SIZE(o) < 2 || !py::isinstance<Node>(PyTuple_GET_ITEM(o, 0))) return {};
  const Ref<Node> node(py::handle(PyTuple_GET_ITEM(o, 0)).cast<Node*>());
  const long index = PyLong_AsLong(PyTuple_GET_ITEM(o, 1));
  if (index == -1 && PyErr_Occurred()) throw PythonError();
  require<IndexError>(index >= 0 && size_t(index) < node->outputs.size(), *node, " has ", node->outputs.size(),
                      " outputs; there is no output with the index ", index);
  return Edge{node, uint32_t(index)};
}

std::vector<PyObject*> items_of(PyObject* o, const char* what, py::object& owner) {
  if (python_interface->unwrap(o) || edge_from(o)) return {o};
  const py::object listed = owned(PySequence_Fast(o, what));
  owner = owned(PySequence_Tuple(listed.ptr()));  // a copy, because __index__ of an item could change a list
  PyObject** first = PySequence_Fast_ITEMS(owner.ptr());
  return {first, first + PyTuple_GET_SIZE(owner.ptr())};
}

// Returns the edges of tensors and GradientEdges. If `keep` is set, for backward(inputs=...), non-leaf tensors retain
// their gradients.
std::vector<Edge> inputs_from(PyObject* o, bool keep) {
  std::vector<Edge> out;
  py::object owner;
  for (PyObject* item : items_of(o, "inputs must be Tensors or GradientEdges", owner)) {
    const Tensor* t = python_interface->unwrap(item);
    std::optional<Edge> edge = t ? std::nullopt : edge_from(item);
    require<TypeError>(t || edge, "inputs: expected Tensors or GradientEdges, found ", Py_TYPE(item)->tp_name);
    require(!t || t->requires_grad(), "One of the differentiated Tensors does not require grad");
    out.push_back(t ? gradient_edge(*t) : *edge);
    if (t && keep && meta_of(*t).grad_fn) retain_grad(*t);
  }
  return out;
}

Root root_from(PyObject* o, const Tensor& gradient, size_t position) {
  if (const Tensor* t = python_interface->unwrap(o)) return root_of(*t, gradient, position);
  const std::optional<Edge> edge = edge_from(o);
  require<TypeError>(bool(edge), "tensors: expected Tensors or GradientEdges, found ", Py_TYPE(o)->tp_name);
  return root_of(*edge, gradient, position);
}

bool truth(PyObject* o) {
  const int value = PyObject_IsTrue(o);
  if (value < 0) throw PythonError();
  return value;
}

constexpr const char* kBackwardNames[] = {"self", "gradient", "retain_graph", "create_graph", "inputs"};

size_t backward_parameter(PyObject* name) {
  for (size_t i = 1; i < std::size(kBackwardNames); ++i)
    if (PyUnicode_CompareWithASCIIString(name, kBackwardNames[i]) == 0) return i;
  PyErr_Format(PyExc_TypeError,
               "backward() got an unexpected keyword argument '%U'; it takes gradient, retain_graph, create_graph and "
               "inputs",
               name);
  throw PythonError();
}

// Implements Tensor.backward(gradient=None, retain_graph=None, create_graph=False, inputs=None). Parses the arguments
// without pybind11, because the function is on the hot path.
PyObject* backward(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
  return guarded([&]() -> PyObject* {
    PyObject* values[5] = {};
    require<TypeError>(count >= 1 && count <= 5, "backward() takes at most 4 arguments besides the tensor");
    for (Py_ssize_t i = 0; i < count; ++i) values[i] = args[i];
    for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); ++i) {
      const size_t at = backward_parameter(PyTuple_GET_ITEM(kwnames, i));
      require<TypeError>(!values[at], "backward() got multiple values for argument '", kBackwardNames[at], "'");
      values[at] = args[count + i];
    }
    const Tensor* self = python_interface->unwrap(values[0]);
    require<TypeError>(self, "backward(): the first argument must be a Tensor");
    RunOptions options;
    options.create_graph = values[3] && truth(values[3]);
    options.keep_graph = values[2] && values[2] != Py_None ? truth(values[2]) : options.create_graph;
    if (values[4] && values[4] != Py_None) {
      options.inputs = inputs_from(values[4], true);
      require(!options.inputs.empty(), "'inputs' argument to backward() cannot be empty.");
      options.accumulate_inputs = true;
    }
    run_backward({root_of(*self, optional_tensor(values[1], "gradient"), 0)}, options);
    Py_RETURN_NONE;
  });
}

PyMethodDef backward_definition = {"backward", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(backward)),
                                   METH_FASTCALL | METH_KEYWORDS,
                                   "backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None)"};

py::tuple as_tuple(const std::vector<Tensor>& tensors) {  // undefined tensors become None
  py::tuple out(tensors.size());
  for (size_t i = 0; i < tensors.size(); ++i) out[i] = py::cast(tensors[i]);
  return out;
}

// run(tensors, gradients, keep_graph, create_graph, inputs, accumulate) runs a backward pass. Returns a tuple with the
// gradient of each input, or None if the gradient is undefined.
py::tuple run(py::object tensors, py::object gradients, bool keep_graph, bool create_graph, py::object inputs,
              bool accumulate) {
  py::object owner;
  const std::vector<PyObject*> outputs = items_of(tensors.ptr(), "tensors must be Tensors or GradientEdges", owner);
  std::vector<Root> roots;
  const py::sequence given = gradients;
  require(given.size() == outputs.size(), "expected one gradient for each of the ", outputs.size(),
          " tensors, but got ", given.size());
  for (size_t i = 0; i < outputs.size(); ++i)
    roots.push_back(root_from(outputs[i], optional_tensor(py::object(given[i]).ptr(), "a gradient"), i));
  RunOptions options;
  options.keep_graph = keep_graph;
  options.create_graph = create_graph;
  if (!inputs.is_none()) {
    options.inputs = inputs_from(inputs.ptr(), accumulate);
    options.accumulate_inputs = accumulate;
  }
  return as_tuple(run_backward(roots, options));
}

std::vector<Tensor> tensors_from(PyObject* o, const char* what) {
  std::vector<Tensor> out;
  py::object owner;
  for (PyObject* item : items_of(o, what, owner)) {
    const Tensor* t = python_interface->unwrap(item);
    require<TypeError>(t, what, ": expected Tensors, found ", Py_TYPE(item)->tp_name);
    out.push_back(*t);
  }
  return out;
}

// gradients(outputs, leaves, cotangents or None, follow, keep_graph) is the backward pass of a function transform. It
// returns the gradients of the leaves, with zeros for unused leaves, and True if the outputs depend on other tensors
// that require a gradient. In this case, or if a cotangent requires a gradient, the gradients are recorded, unless
// follow is False.
py::tuple gradients(py::object outputs, py::object leaves, py::object cotangents, bool follow, bool keep_graph) {
  const std::vector<Tensor> values = tensors_from(outputs.ptr(), "outputs");
  std::vector<Tensor> given(values.size());
  if (!cotangents.is_none()) {
    const py::sequence items = cotangents;
    require(items.size() == values.size(), "expected one cotangent for each of the ", values.size(),
            " outputs, but got ", items.size());
    for (size_t i = 0; i < values.size(); ++i) given[i] = optional_tensor(py::object(items[i]).ptr(), "a cotangent");
  }
  const LeafGradients found = leaf_gradients(values, tensors_from(leaves.ptr(), "leaves"), given, follow, keep_graph);
  return py::make_tuple(as_tuple(found.gradients), found.depends);
}

py::tuple jacobian_of(const Tensor& output, py::object leaves, bool create_graph, bool keep_graph) {
  return as_tuple(jacobian(output, tensors_from(leaves.ptr(), "leaves"), create_graph, keep_graph));
}

const BindingHooks engine_calls{call_site, pack, rethrow_with_note, watch_collections};
const PythonAutogradHooks core_calls{visit_callbacks, drop_callbacks, wrap_grad_fn};

}  // namespace

}  // namespace flambeau::autograd

PYBIND11_MODULE(_engine, m, pybind11::mod_gil_not_used()) {
  using namespace flambeau;
  using namespace flambeau::autograd;
  initialize_extension();
  binding_hooks = &engine_calls;
  python_autograd_hooks = &core_calls;
  m.doc() = "Engine of flambeau.autograd.";
  bind_nodes(m);
  bind_hooks(m);
  bind_function(m);
  bind_saved_hooks(m);
  bind_anomaly(m);
  bind_profiler(m);
  PyModule_AddObject(m.ptr(), "backward", PyCFunction_New(&backward_definition, nullptr));
  define(m, "run", &run);
  define(m, "collect_cycles", &collect_cycles);
  define(m, "leaf", &leaf_of, tensor_argument());
  define(m, "close", [](const py::object& leaves) { close(tensors_from(leaves.ptr(), "leaves")); });
  define(m, "gradients", &gradients);
  define(m, "depends_on_others", [](const py::object& outputs, const py::object& leaves) {
    return depends_on_others(tensors_from(outputs.ptr(), "outputs"), tensors_from(leaves.ptr(), "leaves"));
  });
  define(m, "jacobian", &jacobian_of, tensor_argument(), py::arg(), py::arg(), py::arg());
  define(m, "detached", &detached, tensor_argument());
  define(m, "open_level", &open_level);
  define(m, "open_levels", &open_levels);
  define(m, "close_level", &close_level);
  define(m, "set_forward_enabled", &set_forward_enabled);
  define(m, "make_dual", &make_dual, tensor_argument(), tensor_argument(), py::arg());
  define(
      m, "unpack_dual",
      [](const Tensor& t, size_t level) {
        const auto [primal, tangent] = unpack_dual(t, level);
        return py::make_tuple(primal, tangent.defined() ? py::cast(tangent) : py::object(py::none()));
      },
      tensor_argument(), py::arg());
  define(m, "call_at_end", [](const py::function& callback) { call_at_end([callback] { callback(); }); });
  define(m, "bump_version", [](const Tensor& t) { t.storage().bump_version(); }, tensor_argument());
  python::guard_calls(m);
}
