// Anomaly mode: stores the Python frames in which a node was recorded, and names them in error messages.
#include <pybind11/pybind11.h>

#include "bind.h"

namespace py = pybind11;

namespace flambeau::autograd {

static bool anomaly_checks_forward = true;  // detection of NaN in the forward pass: Note [NaN check]

namespace {

struct PythonCallSite final : CallSite {  // Python frames of a call, innermost first
  struct Frame {
    py::object code;
    int instruction;
  };
  py::list lines() const;
  std::string text() const override {
    std::string out;
    for (const py::handle line : lines()) out += line.cast<std::string>();
    return out;
  }
  std::vector<Frame> frames;
};

py::list PythonCallSite::lines() const {
  const py::module_ traceback = py::module_::import("traceback");
  py::list summaries;
  for (auto at = frames.rbegin(); at != frames.rend(); ++at) {
    const int line = PyCode_Addr2Line(reinterpret_cast<PyCodeObject*>(at->code.ptr()), at->instruction);
    summaries.append(traceback.attr("FrameSummary")(at->code.attr("co_filename"), line, at->code.attr("co_name")));
  }
  return traceback.attr("format_list")(summaries);
}

}  // namespace

std::unique_ptr<CallSite> call_site() {
  auto site = std::make_unique<PythonCallSite>();
  const auto steal = [](auto* o) { return py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(o)); };
  py::object frame = steal(PyThreadState_GetFrame(PyThreadState_Get()));
  while (frame) {
    auto* const current = reinterpret_cast<PyFrameObject*>(frame.ptr());
    site->frames.push_back({steal(PyFrame_GetCode(current)), PyFrame_GetLasti(current)});
    frame = steal(PyFrame_GetBack(current));
  }
  return site;
}

py::list traceback_lines(const Node& node) {
  const bool remembered = node.hooks && node.hooks->call_site;
  return remembered ? static_cast<PythonCallSite&>(*node.hooks->call_site).lines() : py::list();
}

void rethrow_with_note(const Node& node, const char* doing) {
  python_interface->translate_exception();
  PyObject *type, *value, *trace;
  PyErr_Fetch(&type, &value, &trace);
  PyErr_NormalizeException(&type, &value, &trace);
  const std::string note = std::string(doing) + " " + node.name() + call_text(node);
  PyObject* done = PyObject_CallMethod(value, "add_note", "s", note.c_str());
  if (!done) PyErr_Clear();  // an error in add_note must not hide the exception
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
