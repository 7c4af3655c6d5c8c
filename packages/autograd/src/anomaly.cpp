// Anomaly mode: every node remembers where its forward was called, and what went wrong in it says so.
#include <pybind11/pybind11.h>

#include "bind.h"

namespace py = pybind11;

namespace flambeau::autograd {

bool anomaly_mode = false, anomaly_checks_nan = true;
static bool anomaly_checks_forward = true;  // the check itself: Note [NaN check]

CallSite::~CallSite() {
  for (auto& [code, instruction] : frames) Py_DECREF(code);
}

void remember_call(Node& node) {
  auto site = std::make_unique<CallSite>();
  PyFrameObject* frame = PyThreadState_GetFrame(PyThreadState_Get());
  while (frame) {
    site->frames.push_back({reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)), PyFrame_GetLasti(frame)});
    PyFrameObject* outer = PyFrame_GetBack(frame);
    Py_DECREF(frame);
    frame = outer;
  }
  site->parent = Ref<Node>(current_node());
  node_hooks(node).call_site = std::move(site);
}

py::list traceback_lines(const Node& node) {
  py::list lines;
  if (!node.hooks || !node.hooks->call_site) return lines;
  const py::object frame_summary = py::module_::import("traceback").attr("FrameSummary");
  py::list summaries;
  const auto& frames = node.hooks->call_site->frames;
  for (auto at = frames.rbegin(); at != frames.rend(); ++at) {
    const py::handle code(at->first);
    const int line = PyCode_Addr2Line(reinterpret_cast<PyCodeObject*>(at->first), at->second);
    summaries.append(frame_summary(code.attr("co_filename"), line, code.attr("co_name")));
  }
  return py::module_::import("traceback").attr("format_list")(summaries);
}

std::string call_text(const Node& node) {
  std::string text;
  for (const Node* at = &node; at && at->hooks && at->hooks->call_site; at = at->hooks->call_site->parent.get()) {
    text += at == &node ? "\n" : "\nwhich the backward of ";
    text += std::string(at->name()) + " was recorded in this call (most recent call last):\n";
    for (const py::handle line : traceback_lines(*at)) text += line.cast<std::string>();
  }
  return text;
}

void check_nan(const Node& node, const Tensor* results, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    if (!results[i].defined() || !is_inexact(results[i].dtype())) continue;
    NoRecording off;
    require(!item(any(ne(results[i], results[i]), {}, false)).truth(), "Function '", node,
            "' returned nan values in its ", i, "th output.");
  }
}

void rethrow_with_note(const Node& node, const char* doing) {
  try {
    throw;
  } catch (const PythonError&) {
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const std::exception& e) {
    python_interface->set_error(e);
  }
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  const std::string note = std::string(doing) + " " + node.name() + call_text(node);
  PyObject* done = PyObject_CallMethod(value, "add_note", "s", note.c_str());
  if (!done) PyErr_Clear();  // the exception itself matters more
  Py_XDECREF(done);
  PyErr_Restore(type, value, trace);
  throw PythonError();
}

static void set_anomaly(bool enabled, bool check_nan, bool check_forward) {
  anomaly_mode = enabled;
  anomaly_checks_nan = check_nan;
  anomaly_checks_forward = check_forward;
  const bool wanted = enabled && check_nan && check_forward;
  const py::object engine = py::module_::import("flambeau.autograd._engine");
  py::module_::import("flambeau._core")
      .attr("_set_nan_handler")(wanted ? py::object(engine.attr("raise_nan")) : py::none());
}

void bind_anomaly(py::module_& m) {
  define(m, "set_anomaly", &set_anomaly);
  define(m, "anomaly", [] { return py::make_tuple(anomaly_mode, anomaly_checks_nan, anomaly_checks_forward); });
}

}  // namespace flambeau::autograd
