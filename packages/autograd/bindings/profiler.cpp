// Observers of operator calls: the profiler, and the check for results with NaN or infinity.
#include <pybind11/stl.h>

#include <cctype>
#include <chrono>
#include <unordered_set>

#include "bind.h"
#include "flambeau/interpreter.h"

namespace py = pybind11;

namespace flambeau::autograd {

namespace {

int64_t now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

const char* permanent_text(const std::string& name) {
  static auto* names = new std::unordered_set<std::string>;
  return names->insert(name).first->c_str();
}

struct Event {
  const char* name;
  int64_t start, end, within;  // nanoseconds; `within`: duration of nested events
  int64_t bytes;               // increase of the allocated bytes between start and end
  int64_t parent;              // index of the enclosing event, or -1
  unsigned long thread;
  bool is_operator;  // false for a node of a backward pass and for a user-defined range
};

// The open events of a thread. They belong to one recorder; another recorder starts with an empty list.
struct OpenEvents {
  int64_t recorder = -1;
  std::vector<size_t> positions;
};
OpenEvents& open_events() {
  static thread_local OpenEvents open;
  return open;
}

class Recorder final : public CallObserver {
 public:
  Recorder() : number_(next_number++) {}
  void begin(const char* name) override { enter(name, !std::isupper(static_cast<unsigned char>(*name))); }
  void enter(const std::string& name, bool is_operator) {
    std::vector<size_t>& open = opened();
    events.push_back({permanent_text(name), now(), 0, 0, -int64_t(allocated_bytes()),
                      open.empty() ? -1 : int64_t(open.back()), PyThread_get_thread_ident(), is_operator});
    open.push_back(events.size() - 1);
  }
  PyObject* end(const char*, PyObject* result) override {
    std::vector<size_t>& open = opened();
    if (open.empty()) return result;  // the event began before the recorder started
    Event& event = events[open.back()];
    open.pop_back();
    event.end = now();
    event.bytes += int64_t(allocated_bytes());
    if (event.parent >= 0) events[size_t(event.parent)].within += event.end - event.start;
    return result;
  }
  std::vector<Event> events;

 private:
  std::vector<size_t>& opened() {
    OpenEvents& open = open_events();
    if (std::exchange(open.recorder, number_) != number_) open.positions.clear();
    return open.positions;
  }
  static int64_t next_number;
  const int64_t number_;
};
int64_t Recorder::next_number = 0;

// Describes the NaNs or infinities in a tensor. Returns an empty string if the tensor contains none.
std::string describe(PyObject* o, bool nan, bool infinity) {
  const Tensor* t = python_interface->unwrap(o);
  if (!t || !is_inexact(t->dtype()) || t->numel() == 0) return "";
  NoRecording off;
  const py::object values = py::reinterpret_steal<py::object>(wrap(alias(*t)));
  for (const char* kind : {"isnan", "isinf"}) {
    if (!(kind[2] == 'n' ? nan : infinity)) continue;
    const py::object bad = values.attr(kind)();
    const int64_t count = bad.attr("sum")().attr("item")().cast<int64_t>();
    if (!count) continue;
    const py::object index = bad.attr("nonzero")().attr("__getitem__")(0).attr("tolist")();
    return std::string(" gave ") + (kind[2] == 'n' ? "nan" : "inf") + " in " + std::to_string(count) + " of the " +
           std::to_string(t->numel()) + " elements of its result of shape " +
           py::str(py::list(values.attr("shape"))).cast<std::string>() + " and dtype " +
           py::str(values.attr("dtype")).cast<std::string>() + ", first at index " + py::str(index).cast<std::string>();
  }
  return "";
}

std::string calling_line() {
  PyFrameObject* frame = PyEval_GetFrame();
  if (!frame) return "";
  const py::object code = py::reinterpret_steal<py::object>(reinterpret_cast<PyObject*>(PyFrame_GetCode(frame)));
  return ", called in " + code.attr("co_filename").cast<std::string>() + ", line " +
         std::to_string(PyFrame_GetLineNumber(frame));
}

// Raises the error of the forward check of anomaly mode. Note [NaN check]
void raise_nan(const py::object& callable, const py::object& result) {
  std::string name = callable.attr("__name__").cast<std::string>();
  if (name == "apply") name = "the forward of " + result.attr("grad_fn").attr("name")().cast<std::string>();
  detail::raise<Error>(
      name, describe(result.ptr(), true, false), calling_line(),
      ". None of its arguments contains a nan. Use detect_anomaly(check_forward=False) to check only gradients");
}

// Raises an error at the first operator whose result contains a NaN or an infinity.
class FiniteCheck final : public CallObserver {
 public:
  FiniteCheck(PyObject* error, bool nan, bool infinity) : error_(Py_NewRef(error)), nan_(nan), infinity_(infinity) {}
  ~FiniteCheck() { Py_DECREF(error_); }
  void begin(const char*) override {}
  PyObject* end(const char* name, PyObject* result) override {
    // Skip uninitialised tensors.
    if (!result || std::string_view(name).find("empty") != std::string_view::npos) return result;
    return guarded([&]() -> PyObject* {
      CallObserver* const self = std::exchange(call_observer, nullptr);
      std::string found;
      if (PyTuple_Check(result)) {
        for (Py_ssize_t i = 0; i < PyTuple_GET_SIZE(result) && found.empty(); ++i)
          found = found_in(PyTuple_GET_ITEM(result, i));
      } else {
        found = found_in(result);
      }
      call_observer = self;
      if (found.empty()) return result;
      Py_DECREF(result);
      PyErr_SetString(error_, (std::string(name) + found + calling_line()).c_str());
      return nullptr;
    });
  }

 private:
  std::string found_in(PyObject* o) const {
    const Tensor* t = python_interface->unwrap(o);
    return t && t->impl()->base ? "" : describe(o, nan_, infinity_);
  }

  PyObject* error_;
  const bool nan_, infinity_;
};

std::unique_ptr<Recorder> recorder;
std::vector<std::unique_ptr<FiniteCheck>> checks;  // one for each nested block

void start_profile() {
  require(!call_observer, "a profiler or detect_nonfinite is running already");
  recorder = std::make_unique<Recorder>();
  call_observer = recorder.get();
}

py::list stop_profile() {
  require(bool(recorder), "stop_profile() without start_profile(): no profiler is running");
  call_observer = nullptr;
  py::list out;
  const int64_t end = now();
  for (const Event& e : recorder->events) {
    const int64_t duration = (e.end ? e.end : end) - e.start;
    out.append(py::make_tuple(e.is_operator, e.name, e.start, duration, duration - e.within, e.end ? e.bytes : 0,
                              e.parent, e.thread));
  }
  recorder.reset();
  return out;
}

}  // namespace

void bind_profiler(py::module_& m) {
  define(m, "start_profile", &start_profile);
  define(m, "stop_profile", &stop_profile,
         "Return a tuple (is_operator, name, start, duration, self time, bytes, parent, thread) for every call.");
  define(m, "enter_profiled", [](const std::string& name) {
    if (recorder) recorder->enter(name, false);
    return bool(recorder);
  });
  define(m, "leave_profiled", [] {
    if (recorder) recorder->end("", nullptr);
  });
  define(m, "start_finite_check", [](const py::object& error, bool nan, bool infinity) {
    require(!recorder, "a profiler is running already");
    checks.push_back(std::make_unique<FiniteCheck>(error.ptr(), nan, infinity));
    call_observer = checks.back().get();
  });
  define(m, "raise_nan", &raise_nan);
  define(m, "stop_finite_check", [] {
    require(!checks.empty(), "stop_finite_check() without start_finite_check()");
    checks.pop_back();
    call_observer = checks.empty() ? nullptr : checks.back().get();
  });
}

}  // namespace flambeau::autograd
