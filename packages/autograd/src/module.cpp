// The extension module flambeau.autograd._engine.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "forward_mode.h"
#include "functional.h"

namespace py = pybind11;
PYBIND11_DECLARE_HOLDER_TYPE(T, flambeau::Ref<T>, true)

#include "flambeau/python.h"

namespace flambeau::autograd {

namespace {

int64_t next_id = 0;

const Tensor* optional_tensor(PyObject* o, const char* what) {
  if (!o || o == Py_None) return nullptr;
  const Tensor* t = python_interface->unwrap(o);
  require<TypeError>(t, what, " must be a Tensor or None, not ", Py_TYPE(o)->tp_name);
  return t;
}

Root make_root(const Tensor& t, const Tensor* gradient, size_t position) {
  require(t.requires_grad(), "element ", position, " of tensors does not require grad and does not have a grad_fn");
  if (!gradient) {
    require(t.numel() == 1, "grad can be implicitly created only for scalar outputs, but element ", position,
            " has shape ", t.shape(), "; pass a gradient of that shape, or reduce it first, e.g. with .sum()");
    require(!is_complex(t.dtype()), "grad can be implicitly created only for real scalar outputs but got ", t.dtype());
    return {t, ones(t.shape(), t.dtype())};
  }
  require(gradient->shape() == t.shape(), "Mismatch in shape: grad_output[", position, "] has a shape of ",
          gradient->shape(), " and output[", position, "] has a shape of ", t.shape(), ".");
  require(is_complex(gradient->dtype()) == is_complex(t.dtype()),
          "For complex Tensors, both grad_output and output are required to have the same dtype. Mismatch in dtype: "
          "grad_output[",
          position, "] has a dtype of ", gradient->dtype(), " and output[", position, "] has a dtype of ", t.dtype(),
          ".");
  return {t, *gradient};
}

std::vector<Tensor> tensors_from(PyObject* o, const char* what) {
  std::vector<Tensor> out;
  if (const Tensor* one = python_interface->unwrap(o)) return {*one};
  PyObject* items = PySequence_Fast(o, what);
  if (!items) throw PythonError();
  const py::object owner = py::reinterpret_steal<py::object>(items);
  for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items); ++i) {
    const Tensor* t = python_interface->unwrap(PySequence_Fast_GET_ITEM(items, i));
    require<TypeError>(t, what, ": expected Tensors, found ", Py_TYPE(PySequence_Fast_GET_ITEM(items, i))->tp_name);
    out.push_back(*t);
  }
  return out;
}

void require_inputs(const std::vector<Tensor>& inputs) {
  for (const Tensor& t : inputs) require(t.requires_grad(), "One of the differentiated Tensors does not require grad");
}

// Tensor.backward(gradient=None, retain_graph=None, create_graph=False, inputs=None), parsed by hand: it is on the hot
// path.
PyObject* backward(PyObject*, PyObject* const* args, Py_ssize_t count, PyObject* kwnames) {
  static const char* const names[] = {"self", "gradient", "retain_graph", "create_graph", "inputs"};
  try {
    PyObject* values[5] = {};
    require<TypeError>(count >= 1 && count <= 5, "backward() takes at most 4 arguments");
    for (Py_ssize_t i = 0; i < count; ++i) values[i] = args[i];
    for (Py_ssize_t i = 0; kwnames && i < PyTuple_GET_SIZE(kwnames); ++i) {
      const std::string_view name = PyUnicode_AsUTF8(PyTuple_GET_ITEM(kwnames, i));
      const auto at = std::find(std::begin(names) + 1, std::end(names), name) - std::begin(names);
      require<TypeError>(at < 5, "backward() got an unexpected keyword argument '", name,
                         "'; it takes gradient, retain_graph, create_graph and inputs");
      require<TypeError>(!values[at], "backward() got multiple values for argument '", name, "'");
      values[at] = args[count + i];
    }
    const Tensor* self = python_interface->unwrap(values[0]);
    require<TypeError>(self, "backward() needs a Tensor");
    RunOptions options;
    options.create_graph = values[3] && PyObject_IsTrue(values[3]) == 1;
    options.keep_graph = values[2] && values[2] != Py_None ? PyObject_IsTrue(values[2]) == 1 : options.create_graph;
    if (values[4] && values[4] != Py_None) {
      options.inputs = tensors_from(values[4], "inputs");
      require(!options.inputs.empty(), "'inputs' argument to backward() cannot be empty.");
      require_inputs(options.inputs);
      options.accumulate_inputs = true;
    }
    run_backward({make_root(*self, optional_tensor(values[1], "gradient"), 0)}, options);
    Py_RETURN_NONE;
  } catch (const PythonError&) {
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const std::exception& e) {
    python_interface->set_error(e);
  }
  return nullptr;
}

PyMethodDef backward_definition = {"backward", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(backward)),
                                   METH_FASTCALL | METH_KEYWORDS,
                                   "backward(self, gradient=None, retain_graph=None, create_graph=False, inputs=None)"};

// run(tensors, gradients, keep_graph, create_graph, inputs, accumulate): a tuple of the inputs' gradients or None.
py::object run(py::object tensors, py::object gradients, bool keep_graph, bool create_graph, py::object inputs,
               bool accumulate) {
  const std::vector<Tensor> outputs = tensors_from(tensors.ptr(), "tensors");
  std::vector<Root> roots;
  const py::sequence given = gradients;
  require(given.size() == outputs.size(), "got ", outputs.size(), " tensors and ", given.size(), " gradients");
  for (size_t i = 0; i < outputs.size(); ++i)
    roots.push_back(make_root(outputs[i], optional_tensor(py::object(given[i]).ptr(), "a gradient"), i));
  RunOptions options;
  options.keep_graph = keep_graph;
  options.create_graph = create_graph;
  if (!inputs.is_none()) {
    options.inputs = tensors_from(inputs.ptr(), "inputs");
    require_inputs(options.inputs);
    options.accumulate_inputs = accumulate;
  }
  const std::vector<Tensor> captured = run_backward(roots, options);
  py::tuple out(captured.size());
  for (size_t i = 0; i < captured.size(); ++i)
    out[i] = captured[i].defined() ? py::reinterpret_steal<py::object>(wrap(captured[i])) : py::object(py::none());
  return out;
}

py::tuple as_tuple(size_t n, auto&& tensor_at) {
  py::tuple out(n);
  for (size_t i = 0; i < n; ++i) out[i] = py::reinterpret_steal<py::object>(wrap(tensor_at(int(i))));
  return out;
}

// gradients(outputs, leaves, cotangents or None, follow, keep_graph): the gradients of a transform's leaves, zeros
// where there are none, and whether the outputs depend on other tensors that require a gradient. These gradients are
// recorded if so, or if a cotangent requires a gradient; with follow=False never.
py::tuple leaf_gradients(py::object outputs, py::object leaves, py::object cotangents, bool follow, bool keep_graph) {
  const std::vector<Tensor> values = tensors_from(outputs.ptr(), "outputs");
  RunOptions options;
  options.inputs = tensors_from(leaves.ptr(), "leaves");
  const py::sequence given = cotangents.is_none() ? py::sequence(py::tuple(0)) : py::sequence(cotangents);
  std::vector<Root> roots;
  const bool depends = follow && depends_on_others(values, options.inputs);
  options.create_graph = depends;
  close(options.inputs);
  for (size_t i = 0; i < values.size(); ++i) {
    const Tensor* gradient =
        cotangents.is_none() ? nullptr : optional_tensor(py::object(given[i]).ptr(), "a cotangent");
    if (gradient) options.create_graph |= follow && gradient->requires_grad();
    if (values[i].requires_grad()) roots.push_back(make_root(values[i], gradient, i));
  }
  options.keep_graph = keep_graph || options.create_graph;
  std::vector<Tensor> gradients(options.inputs.size());
  if (!roots.empty()) gradients = run_backward(roots, options);
  py::tuple out(gradients.size());
  for (size_t i = 0; i < gradients.size(); ++i) {
    const Tensor& leaf = options.inputs[i];
    const Tensor g = gradients[i].defined() ? gradients[i] : zeros(leaf.shape(), leaf.dtype());
    out[i] = py::reinterpret_steal<py::object>(wrap(g));
  }
  return py::make_tuple(out, depends);
}

py::tuple jacobian_of(const Tensor& output, py::object leaves, bool create_graph, bool keep_graph) {
  const std::vector<Tensor> rows = jacobian(output, tensors_from(leaves.ptr(), "leaves"), create_graph, keep_graph);
  return as_tuple(rows.size(), [&](int i) -> const Tensor& { return rows[size_t(i)]; });
}

// Removes a callback by its id from wherever it is kept.
bool remove(Callbacks& callbacks, int64_t id) {
  for (size_t i = 0; i < callbacks.size(); ++i)
    if (callbacks[i].id == id) {
      PyObject* function = callbacks[i].function;
      callbacks.erase(callbacks.begin() + std::ptrdiff_t(i));
      Py_DECREF(function);
      return true;
    }
  return false;
}

int64_t add(Callbacks& callbacks, const py::object& function) {
  callbacks.push_back({next_id, function.inc_ref().ptr()});
  return next_id++;
}

LeafHooks& leaf_hooks(const Tensor& t) {
  AutogradMeta& meta = meta_of(t);
  if (!meta.hooks) meta.hooks = std::make_unique<LeafHooks>();
  return static_cast<LeafHooks&>(*meta.hooks);
}
// A tensor with callbacks may be part of a reference cycle through them.
void track(const Tensor& t) {
  auto* object = static_cast<PyObject*>(t.impl()->python_object);
  if (object && !PyObject_GC_IsTracked(object)) PyObject_GC_Track(object);
}

int64_t register_hook(const Tensor& t, const py::object& hook) {
  require(t.requires_grad(), "cannot register a hook on a tensor that doesn't require gradient");
  track(t);
  const Edge edge = gradient_edge(t);
  if (meta_of(t).grad_fn) return add(node_hooks(*edge.node).gradient[edge.index], hook);
  return add(leaf_hooks(t).gradient, hook);
}

int64_t register_post_accumulate_grad_hook(const Tensor& t, const py::object& hook) {
  require(t.requires_grad(), "cannot register a hook on a tensor that doesn't require gradient");
  track(t);
  require(!meta_of(t).grad_fn, "post accumulate grad hooks cannot be registered on non-leaf tensors");
  return add(leaf_hooks(t).post_accumulate, hook);
}

void remove_hook(const Tensor& t, int64_t id) {
  AutogradMeta* meta = t.impl()->autograd;
  if (!meta) return;
  if (auto* hooks = static_cast<LeafHooks*>(meta->hooks.get());
      hooks && (remove(hooks->gradient, id) || remove(hooks->post_accumulate, id)))
    return;
  if (meta->grad_fn)
    if (NodeHooks* hooks = static_cast<Node*>(meta->grad_fn.get())->hooks.get())
      for (Callbacks& c : hooks->gradient)
        if (remove(c, id)) return;
}

void retain_grad_of(const Tensor& t) {
  require(t.requires_grad(), "can't retain_grad on Tensor that has requires_grad=False");
  if (gradient_edge(t).node && meta_of(t).grad_fn) retain_grad(t);
}

void detach_(const Tensor& t) {
  require(!t.impl()->base, "Can't detach views in-place. Use detach() instead.");
  AutogradMeta* meta = t.impl()->autograd;
  if (!meta) return;
  stop_retaining(*meta);
  meta->grad_fn = Ref<GraphNode>();
  meta->requires_grad = false;
  t.impl()->requires_grad = false;
}

using Owned = std::shared_ptr<PyObject>;

Owned own(const py::object& o) {
  return Owned(o.inc_ref().ptr(), [](PyObject* p) { Py_DECREF(p); });
}

// The derivative of an autograd.Function: function(gradients, saved tensors, which inputs need one), which gives as
// many gradients as there are inputs.
Derivative python_derivative(const py::function& function, size_t inputs, size_t outputs, size_t saved) {
  return [function = own(function), inputs, outputs, saved](const Context& c) {
    const py::tuple gradients = as_tuple(outputs, [&](int i) -> const Tensor& { return c.gradient(i); });
    const py::tuple values = as_tuple(saved, [&](int i) -> const Tensor& { return c.saved(i); });
    py::tuple needs(inputs);
    for (size_t i = 0; i < inputs; ++i) needs[i] = py::bool_(c.needs(int(i)));
    PyObject* returned =
        PyObject_CallFunctionObjArgs(function.get(), gradients.ptr(), values.ptr(), needs.ptr(), nullptr);
    if (!returned) throw PythonError();
    const py::tuple results = py::reinterpret_steal<py::tuple>(returned);
    for (size_t i = 0; i < inputs; ++i)
      if (const Tensor* t = python_interface->unwrap(PyTuple_GET_ITEM(results.ptr(), Py_ssize_t(i)))) c.set(int(i), *t);
  };
}

// Records the call of an autograd.Function. outputs: its tensors, each with the way its history is given: "fresh",
// "dirty" (an input changed in place) or "none". saved: what it keeps for its derivative.
void record_function(const std::string& name, const py::tuple& inputs, const py::tuple& outputs,
                     const std::vector<std::string>& kinds, const py::tuple& saved, bool wants_zeros,
                     const py::function& derivative) {
  const std::vector<Tensor> results = tensors_from(outputs.ptr(), "outputs"),
                            kept = tensors_from(saved.ptr(), "saved tensors");
  const Ref<OperatorNode> node =
      make_node<OperatorNode>(name, python_derivative(derivative, inputs.size(), results.size(), kept.size()));
  node->wants_zeros = wants_zeros;
  static const Tensor undefined;
  std::vector<const Tensor*> tensors;
  for (const py::handle input : inputs) {
    const Tensor* t = python_interface->unwrap(input.ptr());
    tensors.push_back(t ? t : &undefined);
    node->edges.push_back(gradient_edge(*tensors.back()));
  }
  node->take_number();
  for (const Tensor& t : kept) {
    int output = -1;
    for (size_t k = 0; k < results.size(); ++k)
      if (t.same(results[k]) && kinds[k] != "none") output = int(k);
    node->save(t, output);
  }
  for (const Tensor& t : results) node->outputs.push_back({t.shape(), t.dtype()});
  for (size_t k = 0; k < results.size(); ++k)
    if (kinds[k] != "none")
      become_output(results[k], node, uint32_t(k), kinds[k] == "dirty" ? Recording::kInPlace : Recording::kFresh,
                    tensors.data(), int(tensors.size()));
}

const AutogradHooks hooks{record,         set_requires_grad, stop_retaining, visit_callbacks,
                          drop_callbacks, wrap_grad_fn,      adopt_tangents};

}  // namespace

void* wrap_grad_fn(const Tensor& t) {
  const Edge edge = gradient_edge(t);
  if (!edge.node || !meta_of(t).grad_fn) return py::object(py::none()).release().ptr();
  return py::cast(edge.node).release().ptr();
}

}  // namespace flambeau::autograd

PYBIND11_MODULE(_engine, m) {
  using namespace flambeau;
  using namespace flambeau::autograd;
  initialize_extension();
  autograd_hooks = &autograd::hooks;
  m.doc() = "The engine of flambeau.autograd.";
  py::class_<Node, Ref<Node>>(m, "Node", "A node of the recorded graph: an operation that can be differentiated.")
      .def_static("__new__",
                  [](const py::args&, const py::kwargs&) -> py::object {  // copy.copy and the like find no other way
                    throw py::type_error("nodes are made by recording operations, not by calling or copying");
                  })
      .def(
          "name", [](const Node& n) { return std::string(n.name()); }, "The operator's name with the suffix Backward0.")
      .def("__repr__",
           [](const Node& n) {
             return "<" + std::string(n.name()) + " object at " +
                    py::str(py::module_::import("builtins").attr("hex")(reinterpret_cast<size_t>(&n)))
                        .cast<std::string>() +
                    ">";
           })
      .def_property_readonly(
          "next_functions",
          [](const Node& n) {
            py::tuple out(n.edges.size());
            for (size_t i = 0; i < n.edges.size(); ++i)
              out[i] = py::make_tuple(n.edges[i].node ? py::cast(n.edges[i].node) : py::object(py::none()),
                                      n.edges[i].index);
            return out;
          },
          "The nodes its gradients flow to, each with the number of the output.")
      .def_property_readonly(
          "variable",
          [](const Node& n) -> Tensor {
            const auto* leaf = dynamic_cast<const AccumulateGrad*>(&n);
            if (!leaf) throw py::attribute_error("only AccumulateGrad nodes have a variable");
            return leaf->leaf();
          },
          "Of an AccumulateGrad node: the leaf.")
      .def_property_readonly("_sequence_nr", [](const Node& n) { return n.sequence; })
      .def_property_readonly("_saved_bytes",
                             [](const Node& n) {
                               const auto* node = dynamic_cast<const OperatorNode*>(&n);
                               return node ? node->saved_bytes() : 0;
                             })
      .def("_register_hook", [](Node& n, const py::object& f) { return add(node_hooks(n).post, f); })
      .def("_register_prehook", [](Node& n, const py::object& f) { return add(node_hooks(n).pre, f); })
      .def("_remove_hook", [](Node& n, int64_t id) {
        if (n.hooks && !remove(n.hooks->post, id)) remove(n.hooks->pre, id);
      });
  PyModule_AddObject(m.ptr(), "backward", PyCFunction_New(&backward_definition, nullptr));
  m.def("run", &run);
  m.def("register_hook", &register_hook);
  m.def("register_post_accumulate_grad_hook", &register_post_accumulate_grad_hook);
  m.def("remove_hook", &remove_hook);
  m.def("retain_grad", &retain_grad_of);
  m.def("detach_", &detach_);
  m.def("record_function", &record_function);
  m.def("leaf", &leaf_of);
  m.def("close", [](const py::object& leaves) { close(tensors_from(leaves.ptr(), "leaves")); });
  m.def("gradients", &leaf_gradients);
  m.def("depends_on_others", [](const py::object& outputs, const py::object& leaves) {
    return depends_on_others(tensors_from(outputs.ptr(), "outputs"), tensors_from(leaves.ptr(), "leaves"));
  });
  m.def("jacobian", &jacobian_of);
  m.def("detached", &detached);
  m.def("open_level", &open_level);
  m.def("open_levels", &open_levels);
  m.def("close_level", &close_level);
  m.def("make_dual", &make_dual);
  m.def("unpack_dual", [](const Tensor& t, size_t level) {
    const auto [primal, tangent] = unpack_dual(t, level);
    return py::make_tuple(primal, tangent.defined() ? py::cast(tangent) : py::object(py::none()));
  });
  m.def("bump_version", [](const Tensor& t) { t.storage().bump_version(); });
}
