// The extension module flambeau._core. pybind11 binds what is not hot: devices, generators, controls.
#include <pybind11/pybind11.h>

#include <cstring>

#include "bind.h"
#include "flambeau/parallel.h"
#include "tensor_type.h"

namespace py = pybind11;

namespace flambeau::python {

namespace {

struct Device {
  std::string type;
  std::optional<int> index;

  static Device parse(const std::string& text) {
    const size_t colon = text.find(':');
    Device d{text.substr(0, colon), {}};
    require(d.type == "cpu" || d.type == "cuda" || d.type == "meta",
            "Expected one of cpu, cuda, meta device type at start of device string: ", text);
    if (colon != text.npos) {
      const std::string digits = text.substr(colon + 1);
      require(!digits.empty() && digits.size() < 6 && digits.find_first_not_of("0123456789") == digits.npos,
              "Invalid device string: '", text, "'");
      d.index = std::stoi(digits);
    }
    return d;
  }
  std::string repr() const {
    return "device(type='" + type + "'" + (index ? ", index=" + std::to_string(*index) : "") + ")";
  }
  std::string str() const { return index ? type + ":" + std::to_string(*index) : type; }
  bool operator==(const Device& o) const { return type == o.type && index == o.index; }
};

PyObject* error_type(const std::exception& e) {
  if (dynamic_cast<const TypeError*>(&e)) return PyExc_TypeError;
  if (dynamic_cast<const ValueError*>(&e)) return PyExc_ValueError;
  if (dynamic_cast<const IndexError*>(&e)) return PyExc_IndexError;
  if (dynamic_cast<const NotImplementedError*>(&e)) return PyExc_NotImplementedError;
  if (dynamic_cast<const std::bad_alloc*>(&e)) return PyExc_MemoryError;
  return PyExc_RuntimeError;
}

void set_error(const std::exception& e) { PyErr_SetString(error_type(e), e.what()); }

const Tensor* unwrap(PyObject* o) { return is_tensor(o) ? &tensor_of(o) : nullptr; }

const PythonInterface interface{wrap_tensor, unwrap, set_error};

void bind_device(py::module_& m) {
  py::class_<Device>(m, "device", "Where a tensor's memory is: device('cpu').")
      .def(py::init([](const std::string& text) { return Device::parse(text); }), py::arg("type"))
      .def(py::init([](const Device& d) { return d; }))
      .def(py::init([](const std::string& type, int index) {
             Device d = Device::parse(type);
             d.index = index;
             return d;
           }),
           py::arg("type"), py::arg("index"))
      .def_readonly("type", &Device::type)
      .def_property_readonly(
          "index", [](const Device& d) { return d.index ? py::object(py::int_(*d.index)) : py::object(py::none()); })
      .def("__repr__", &Device::repr)
      .def("__str__", &Device::str)
      .def("__eq__",
           [](const Device& a, py::object b) { return py::isinstance<Device>(b) && a == b.cast<const Device&>(); })
      .def("__hash__", [](const Device& d) { return py::hash(py::str(d.str())); })
      .def(py::pickle([](const Device& d) { return py::make_tuple(d.str()); },
                      [](const py::tuple& t) { return Device::parse(t[0].cast<std::string>()); }));
  device_cpu = py::cast(Device{"cpu", {}}).release().ptr();
}

void bind_generator(py::module_& m) {
  py::class_<Generator>(m, "Generator",
                        "A source of random numbers (Philox 4x32-10): a seed and a position in its stream.")
      .def(py::init([](const py::object&) { return Generator(67280421310721ull); }), py::arg("device") = "cpu")
      .def(
          "manual_seed",
          [](py::object self, py::int_ seed) {
            const py::int_ wrapped = py::int_(seed.attr("__and__")(py::int_(0xFFFFFFFFFFFFFFFFull)));
            self.cast<Generator&>().set_state(wrapped.cast<uint64_t>(), 0);
            return self;
          },
          py::arg("seed"), "Sets the seed and goes to the start of its stream; returns the generator.")
      .def("initial_seed", &Generator::seed, "The seed.")
      .def(
          "seed",
          [](Generator& g) {
            const uint64_t s = py::module_::import("secrets").attr("randbits")(64).cast<uint64_t>();
            g.set_state(s, 0);
            return s;
          },
          "Sets a seed from the system's entropy and returns it.")
      .def(
          "get_state",
          [](const Generator& g) {
            Tensor t = empty({16}, Dtype::uint8);
            const uint64_t words[2] = {g.seed(), g.offset()};
            std::memcpy(t.bytes(), words, sizeof(words));
            return t;
          },
          "The state, 16 bytes.")
      .def(
          "set_state",
          [](py::object self, const Tensor& state) {
            require<TypeError>(state.defined() && state.dtype() == Dtype::uint8, "expected a state of dtype uint8");
            require(state.numel() == 16 && state.is_contiguous(),
                    "RNG state is wrong size: expected 16 bytes, got shape ", state.shape());
            uint64_t words[2];
            std::memcpy(words, state.bytes(), sizeof(words));
            self.cast<Generator&>().set_state(words[0], words[1]);
            return self;
          },
          py::arg("state"), "Restores a state from get_state().")
      .def_property_readonly("device", [](const Generator&) { return py::reinterpret_borrow<py::object>(device_cpu); });
  m.attr("default_generator") = py::cast(&default_generator(), py::return_value_policy::reference);
}

void bind_controls(py::module_& m) {
  m.def("get_num_threads", &num_threads, "How many threads operators use.");
  m.def(
      "set_num_threads",
      [](int n) {
        require(n > 0, "set_num_threads expects a positive integer, got ", n);
        set_num_threads(n);
      },
      py::arg("n"), "Sets how many threads operators use. Results do not depend on it.");
  m.def(
      "get_default_dtype", [] { return py::reinterpret_borrow<py::object>(dtype_object(default_dtype())); },
      "The dtype of floats without one.");
  m.def(
      "set_default_dtype",
      [](py::object d) {
        require<TypeError>(Py_TYPE(d.ptr()) == dtype_type, "set_default_dtype: expected a flambeau.dtype, got ",
                           Py_TYPE(d.ptr())->tp_name);
        set_default_dtype(reinterpret_cast<DtypeObject*>(d.ptr())->value);
      },
      py::arg("d"), "Sets the dtype of floats without one, for this thread.");
  m.def("empty_cache", &empty_cache, "Returns cached memory to the system.");
  m.def("memory_allocated", &allocated_bytes, "Bytes of memory in use by tensors.");
  m.def("memory_cached", &cached_bytes, "Bytes of memory kept for reuse.");
  m.def(
      "instruction_set", [] { return flambeau::instruction_set(); },
      "The instruction set the kernels in use were compiled for.");
  m.def(
      "pointwise_rows", [] { return py::reinterpret_steal<py::object>(describe_rows()); },
      "The registry's pointwise rows, as dictionaries.");
  m.def(
      "signatures",
      [] {
        py::list out;
        for (const Binding* b : bindings()) {
          py::dict entry;
          entry["name"] = b->name;
          entry["signature"] = b->signature;
          entry["doc"] = b->doc;
          entry["function"] = bool(b->flags & kFunction);
          entry["method"] = bool(b->flags & kMethod);
          entry["inplace"] = bool(b->flags & kInPlace);
          entry["out"] = bool(b->flags & kOut);
          entry["module"] = b->module;
          entry["python"] = b->python ? py::reinterpret_borrow<py::object>(b->python) : py::object(py::none());
          out.append(entry);
        }
        return out;
      },
      "Every structural binding's signature and documentation.");
}

// What is public beside the registry's functions: types, dtypes and controls, all of them but the registry's own
// description.
void publish_plain_names(py::module_& m) {
  py::list names = m.attr("__all__");
  for (const auto& [name, value] : py::dict(m.attr("__dict__"))) {
    const auto text = name.cast<std::string>();
    const bool of_registry = Py_TYPE(value.ptr()) == operator_type || text == "pointwise_rows" || text == "signatures";
    if (text[0] != '_' && !of_registry) names.append(name);
  }
}

}  // namespace

CpuDevice From<CpuDevice>::get(const Call& call, PyObject* o) {
  if (o == Py_None || o == device_cpu) return {};
  std::optional<Device> device;
  if (PyUnicode_Check(o))
    device = Device::parse(std::string(text_of(o)));
  else if (py::isinstance<Device>(o))
    device = py::cast<Device>(py::handle(o));
  else
    wrong_argument(call, "flambeau.device or str", o);
  require<NotImplementedError>(device->type == "cpu", "tensors live on the CPU: the device '", device->str(),
                               "' is not supported");
  return {};
}

void translate_exception() {
  try {
    throw;
  } catch (const PythonError&) {
  } catch (py::error_already_set& e) {
    e.restore();
  } catch (const std::exception& e) {
    set_error(e);
  }
}

}  // namespace flambeau::python

PYBIND11_MODULE(_core, m) {
  using namespace flambeau::python;
  flambeau::python_interface = &interface;
  flambeau::register_exceptions();
  m.doc() = "The native core of flambeau.";
  m.attr("__all__") = py::list();
  create_small_types(m.ptr());
  create_tensor_type();
  m.attr("Tensor") = py::reinterpret_borrow<py::object>(reinterpret_cast<PyObject*>(tensor_type));
  bind_device(m);
  bind_generator(m);
  bind_controls(m);
  bind_arithmetic();
  bind_activations();
  bind_complex();
  bind_views();
  bind_reductions();
  bind_structure();
  bind_indexing();
  bind_joining();
  bind_networks();
  bind_linear_algebra();
  bind_construction();
  bind_interop();
  bind_autograd();
  bind_python_operators();
  publish(m.ptr());
  publish_rows(m.ptr());
  publish_plain_names(m);
}
