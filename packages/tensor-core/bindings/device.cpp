// Devices. Tensors live on the CPU or, without memory, on meta; the others can be named, so that programs that ask for
// one get an answer.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>

#include "arguments.h"
#include "bind_objects.h"

namespace py = pybind11;

namespace flambeau::python {

namespace {

constexpr const char* kTypes[] = {"cpu", "cuda", "mps", "xpu", "xla", "meta"};

struct Device {
  std::string type;
  std::optional<int> index;

  // pybind11 constructs nothing where a program calls __new__ alone: what it finds then is the CPU.
  static void* operator new(size_t size) { return ::new (::operator new(size)) Device{"cpu", {}}; }
  static void* operator new(size_t, void* place) { return place; }
  static void operator delete(void* place) { ::operator delete(place); }

  static Device parse(const std::string& text) {
    require(!text.empty(), "Device string must not be empty");
    const size_t colon = text.find(':');
    Device d{text.substr(0, colon), {}};
    require(std::find(std::begin(kTypes), std::end(kTypes), d.type) != std::end(kTypes),
            "Expected one of cpu, cuda, mps, xpu, xla, meta device type at start of device string: ", text);
    if (colon != text.npos) {
      const std::string digits = text.substr(colon + 1);
      require(!digits.empty() && digits.size() < 4 && digits.find_first_not_of("0123456789") == digits.npos &&
                  (digits.size() == 1 || digits[0] != '0'),
              "Invalid device string: '", text, "'");
      d.index = std::stoi(digits);
    }
    return d;
  }
  static Device of(const std::string& type, std::optional<int> index) {
    Device d = parse(type);
    if (!index) return d;
    require(!d.index, "type (string) must not include an index because index was passed explicitly: ", type);
    require(*index >= 0, "Device index must not be negative, got ", *index);
    d.index = index;
    return d;
  }
  std::string repr() const {
    return "device(type='" + type + "'" + (index ? ", index=" + std::to_string(*index) : "") + ")";
  }
  std::string str() const { return index ? type + ":" + std::to_string(*index) : type; }
  bool operator==(const Device& o) const { return type == o.type && index == o.index; }
};

// Where this thread makes tensors of nothing: the last one counts. The first is what set_default_device set, the others
// are contexts that were entered.
thread_local std::vector<DeviceType> default_devices{DeviceType::Cpu};

DeviceType device_type_of(const char* function, PyObject* o) {
  static const Parameter parameter{PyUnicode_InternFromString("device")};
  return From<Placement>::get({function, &parameter, 0}, o).given.value_or(DeviceType::Cpu);
}

PyObject* device_meta = nullptr;

}  // namespace

PyObject* device_object(DeviceType device) { return device == DeviceType::Meta ? device_meta : device_cpu; }

void bind_device(py::module_& m) {
  py::class_<Device>(m, "device",
                     "Where a tensor's memory is: device('cpu'). As a context manager, the default device.")
      .def(py::init([](const Device& d) { return d; }), py::arg("type"))
      .def(py::init([](const std::string& type, std::optional<int> index) { return Device::of(type, index); }),
           py::arg("type"), py::arg("index") = py::none())
      .def(py::init([](int index) -> Device {
             detail::raise<Error>("device(", index, "): a number names a GPU, and there is no backend for one");
           }),
           py::arg("index"))
      .def_readonly("type", &Device::type)
      .def_property_readonly("index", [](const Device& d) { return d.index; })
      .def("__repr__", &Device::repr)
      .def("__str__", &Device::str)
      .def("__eq__", [](const Device& a,
                        const py::object& b) { return py::isinstance<Device>(b) && a == b.cast<const Device&>(); })
      .def("__hash__", [](const Device& d) { return py::hash(py::str(d.str())); })
      .def("__enter__",
           [](py::object self) {
             default_devices.push_back(device_type_of("device.__enter__", self.ptr()));
             return self;
           })
      .def("__exit__",
           [](const Device&, const py::args&) {
             if (default_devices.size() > 1) default_devices.pop_back();
           })
      .def(py::pickle([](const Device& d) { return py::make_tuple(d.str()); },
                      [](const py::tuple& t) { return Device::parse(t[0].cast<std::string>()); }));
  device_cpu = py::cast(Device{"cpu", {}}).release().ptr();
  device_meta = py::cast(Device{"meta", {}}).release().ptr();
  def("_set_default_device(device)", kPrivate, "Where this thread makes tensors of nothing; the CPU for None.",
      [](PyObject* device) { default_devices.front() = device_type_of("set_default_device", device); });
  def("_get_default_device()", kPrivate, "Where this thread makes tensors of nothing.",
      [] { return Py_NewRef(device_object(default_devices.back())); });
}

Placement From<Placement>::get(const Call& call, PyObject* o) {
  if (o == Py_None) return {};
  if (o == device_cpu) return {DeviceType::Cpu};
  std::optional<Device> device;
  if (PyUnicode_Check(o))
    device = Device::parse(std::string(text_of(o)));
  else if (py::isinstance<Device>(o))
    device = py::cast<Device>(py::handle(o));
  else if (PyLong_Check(o) && !PyBool_Check(o))
    detail::raise<Error>(call.function, "(): the device ", From<int64_t>::get(call, o),
                         " would be a GPU, and there is no backend for one");
  else
    wrong_argument(call, "flambeau.device or str", o);
  for (const DeviceType known : {DeviceType::Cpu, DeviceType::Meta})
    if (device->type == name(known)) return {known};
  detail::raise<NotImplementedError>("tensors live on the CPU, or on meta: the device '", device->str(),
                                     "' is not supported");
}

DeviceType Placement::of_fresh() const {
  if (given) return *given;
  return OnDevice::current() == DeviceType::Cpu ? default_devices.back() : OnDevice::current();
}

}  // namespace flambeau::python
