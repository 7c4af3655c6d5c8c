// The type flambeau.device. Tensors can be on the CPU, on a CUDA GPU or, without memory, on the meta device. Devices of
// PyTorch's other types can be created and compared, because programs do so, but no tensor can be on them.
#include <algorithm>
#include <string>

#include "calls/define.h"
#include "flambeau/cuda.h"
#include "tensor/devices.h"
#include "tensor/tensor_type.h"

namespace flambeau::python {

namespace {

constexpr std::string_view kTypes[] = {"cpu", "cuda", "mps", "xpu", "xla", "meta"};

constexpr int kNoIndex = -1;
constexpr uint8_t kCuda = 1;  // index in kTypes

struct DeviceObject {
  PyObject_HEAD uint8_t type;  // index in kTypes
  int16_t index;
};

PyTypeObject* device_class = nullptr;

const DeviceObject& device_of(PyObject* o) { return *reinterpret_cast<DeviceObject*>(o); }
bool is_device(PyObject* o) { return PyObject_TypeCheck(o, device_class); }

struct DeviceParts {  // the parts of a device string
  uint8_t type;
  int index = kNoIndex;
};

// Returns the edit distance of two words of up to 8 letters: the number of insertions, deletions, replacements and
// swaps of neighbours.
int distance(std::string_view a, std::string_view b) {
  int d[9][9];
  for (size_t i = 0; i <= a.size(); ++i)
    for (size_t j = 0; j <= b.size(); ++j) {
      if (!i || !j) {
        d[i][j] = int(i + j);
        continue;
      }
      const bool same = a[i - 1] == b[j - 1];
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + !same});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  return d[a.size()][b.size()];
}

// Returns a hint for the error message about an unknown device string: that cuda:0 is probably meant by "cuad:0",
// "cuda0" or "GPU:0", or that the string names a dtype. Returns an empty string if there is no hint.
std::string device_hint(std::string_view text) {
  for (int i = 0; i < kDtypeCount; ++i)
    if (text == name(Dtype(i))) return "; for a dtype write flambeau." + std::string(text);
  std::string word;
  for (const char letter : text)
    if (letter != ' ') word += letter >= 'A' && letter <= 'Z' ? char(letter + ('a' - 'A')) : letter;
  const size_t end = std::min(word.find_first_of(":-_0123456789"), word.size());
  const size_t first_digit = word.find_first_of("0123456789");
  const std::string digits = first_digit == word.npos ? "" : word.substr(first_digit);
  const std::string_view type = std::string_view(word).substr(0, end);
  const bool number = digits.size() < 3 && digits.find_first_not_of("0123456789") == digits.npos;
  if (type.empty() || type.size() > 8 || !number) return "";
  const auto nearest = std::min_element(std::begin(kTypes), std::end(kTypes),
                                        [type](auto a, auto b) { return distance(type, a) < distance(type, b); });
  const bool is_gpu = type == "gpu" || type == "nvidia";
  if (!is_gpu && distance(type, *nearest) > 1) return "";
  const std::string_view meant = is_gpu ? kTypes[kCuda] : *nearest;
  return "; did you mean '" + std::string(meant) + (digits.empty() ? "" : ":" + digits) + "'?";
}

DeviceParts parse(std::string_view text) {
  require(!text.empty(), "Device string must not be empty: write 'cpu' or 'cuda:0'");
  const size_t colon = text.find(':');
  const auto known = std::find(std::begin(kTypes), std::end(kTypes), text.substr(0, colon));
  if (known == std::end(kTypes))  // device_hint() is slow, so it is only called if there is an error
    detail::raise<Error>("Expected one of cpu, cuda, mps, xpu, xla, meta device type at start of device string: ", text,
                         device_hint(text));
  DeviceParts out{uint8_t(known - std::begin(kTypes))};
  if (colon == text.npos) return out;
  const std::string_view digits = text.substr(colon + 1);
  require(!digits.empty() && digits.size() < 4 && digits.find_first_not_of("0123456789") == digits.npos &&
              (digits.size() == 1 || digits[0] != '0'),
          "Invalid device string: '", text, "': a device's number follows the colon, as in 'cuda:0'");
  out.index = 0;
  for (char digit : digits) out.index = out.index * 10 + (digit - '0');
  return out;
}

std::string text_of_device(const DeviceObject& d) {
  const std::string type(kTypes[d.type]);
  return d.index == kNoIndex ? type : type + ":" + std::to_string(d.index);
}

PyObject* make_device(PyTypeObject* type, DeviceParts named) {
  static PyObject* whole[std::size(kTypes)] = {};  // one shared object for each device type without an index
  PyObject*& kept = whole[named.type];
  const bool keep = type == device_class && named.index == kNoIndex;
  if (keep && kept) return Py_NewRef(kept);
  PyObject* o = checked(type->tp_alloc(type, 0));
  reinterpret_cast<DeviceObject*>(o)->type = named.type;
  reinterpret_cast<DeviceObject*>(o)->index = int16_t(named.index);
  if (keep) kept = Py_NewRef(o);
  return o;
}

int gpu_number(int64_t number) {
  require(number >= 0 && number < 128, "Device index must lie between 0 and 127, got ", number);
  return int(number);
}

// device("cuda:0"), device("cuda", 0), device(0), device(another), device(device=another)
PyObject* construct_device(PyTypeObject* type, PyObject* args, PyObject* kwargs) {
  return guarded<PyObject*>(nullptr, [&]() -> PyObject* {
    static const char* names[] = {"type", "index", nullptr};
    static const Parameter parameters[] = {{PyUnicode_InternFromString("type")}, {PyUnicode_InternFromString("index")}};
    PyObject *given = nullptr, *index = Py_None;
    const Py_ssize_t positional = PyTuple_GET_SIZE(args);
    if (!kwargs && positional == 1)
      given = PyTuple_GET_ITEM(args, 0);
    else if (kwargs && positional == 0 && PyDict_GET_SIZE(kwargs) == 1 && PyDict_GetItemString(kwargs, "device"))
      given = PyDict_GetItemString(kwargs, "device");
    else if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|OO:device", const_cast<char**>(names), &given, &index))
      return nullptr;
    if (given && is_device(given) && index == Py_None)
      return make_device(type, {device_of(given).type, device_of(given).index});
    require<TypeError>(given, "device() missing 1 required positional arguments: \"type\"");
    if (PyLong_Check(given) && !PyBool_Check(given) && index == Py_None)
      return make_device(type, {kCuda, gpu_number(From<int64_t>::get({"device", &parameters[0], 0}, given))});
    if (!PyUnicode_Check(given)) wrong_argument({"device", &parameters[0], 0}, "str or flambeau.device", given);
    DeviceParts named = parse(text_of(given));
    if (index == Py_None) return make_device(type, named);
    require(named.index == kNoIndex,
            "type (string) must not include an index because index was passed explicitly: ", text_of(given));
    const int64_t number = From<int64_t>::get({"device", &parameters[1], 1}, index);
    named.index = gpu_number(number);
    return make_device(type, named);
  });
}

PyObject* device_repr(PyObject* self) {
  const DeviceObject& d = device_of(self);
  return d.index == kNoIndex ? PyUnicode_FromFormat("device(type='%s')", kTypes[d.type].data())
                             : PyUnicode_FromFormat("device(type='%s', index=%d)", kTypes[d.type].data(), int(d.index));
}
PyObject* device_str(PyObject* self) {
  return guarded<PyObject*>(nullptr, [&] { return PyUnicode_FromString(text_of_device(device_of(self)).c_str()); });
}
Py_hash_t device_hash(PyObject* self) { return device_of(self).type * 1024 + device_of(self).index + 1; }
PyObject* device_compare(PyObject* a, PyObject* b, int op) {
  if ((op != Py_EQ && op != Py_NE) || !is_device(b)) Py_RETURN_NOTIMPLEMENTED;
  const bool same = device_of(a).type == device_of(b).type && device_of(a).index == device_of(b).index;
  return PyBool_FromLong(same == (op == Py_EQ));
}
PyObject* get_device_type(PyObject* self, void*) {
  static PyObject* names[std::size(kTypes)] = {};
  PyObject*& name = names[device_of(self).type];
  if (!name) name = PyUnicode_InternFromString(kTypes[device_of(self).type].data());
  return Py_XNewRef(name);
}
PyObject* get_device_index(PyObject* self, void*) {
  if (device_of(self).index == kNoIndex) Py_RETURN_NONE;
  return PyLong_FromLong(device_of(self).index);
}
PyObject* device_reduce(PyObject* self, PyObject*) { return Py_BuildValue("O(N)", device_class, device_str(self)); }

// The default devices of new tensors in this thread. The last one applies. The first one is the value of
// set_default_device(), the others belong to active `with device:` blocks.
thread_local std::vector<Device> default_devices{Device()};

Device device_argument(const char* function, PyObject* o) {
  static const Parameter parameter{PyUnicode_InternFromString("device")};
  return From<Placement>::get({function, &parameter, 0}, o).given.value_or(Device());
}

PyObject* device_meta = nullptr;

PyObject* enter_device(PyObject* self, PyObject*) {
  return guarded<PyObject*>(nullptr, [&] {
    default_devices.push_back(device_argument("device.__enter__", self));
    return Py_NewRef(self);
  });
}
PyObject* leave_device(PyObject*, PyObject*) {
  if (default_devices.size() > 1) default_devices.pop_back();
  Py_RETURN_NONE;
}

PyGetSetDef device_attributes[] = {
    {"type", get_device_type, nullptr, "Type of the device, such as 'cpu' or 'cuda'.", nullptr},
    {"index", get_device_index, nullptr, "Index of the device, or None.", nullptr},
    {}};
PyMethodDef device_methods[] = {{"__enter__", enter_device, METH_NOARGS, nullptr},
                                {"__exit__", leave_device, METH_VARARGS, nullptr},
                                {"__reduce__", device_reduce, METH_NOARGS, nullptr},
                                {}};
constexpr char kDeviceDoc[] = R"(Device of a tensor's memory: its type and, for GPUs, its index.

As a context manager, set the default device for a block.

>>> fb.device("cuda:1").type, fb.device("cuda", 1).index
('cuda', 1)
>>> with fb.device("meta"):
...     fb.ones(2).device
device(type='meta'))";
PyType_Slot device_slots[] = {{Py_tp_new, reinterpret_cast<void*>(construct_device)},
                              {Py_tp_repr, reinterpret_cast<void*>(device_repr)},
                              {Py_tp_str, reinterpret_cast<void*>(device_str)},
                              {Py_tp_hash, reinterpret_cast<void*>(device_hash)},
                              {Py_tp_richcompare, reinterpret_cast<void*>(device_compare)},
                              {Py_tp_getset, device_attributes},
                              {Py_tp_methods, device_methods},
                              {Py_tp_doc, const_cast<char*>(kDeviceDoc)},
                              {0, nullptr}};
PyType_Spec device_spec = {"flambeau.device", sizeof(DeviceObject), 0, Py_TPFLAGS_DEFAULT, device_slots};

}  // namespace

PyObject* device_object(Device device) {
  if (device.type != DeviceType::Cuda) return device == DeviceType::Meta ? device_meta : device_cpu;
  static std::vector<PyObject*> gpus;  // one shared object for each index
  while (int(gpus.size()) <= device.index) gpus.push_back(make_device(device_class, {kCuda, int(gpus.size())}));
  return gpus[size_t(device.index)];
}

void bind_device(PyObject* module) {
  device_class = reinterpret_cast<PyTypeObject*>(checked(PyType_FromSpec(&device_spec)));
  PyModule_AddObjectRef(module, "device", reinterpret_cast<PyObject*>(device_class));
  device_cpu = make_device(device_class, {0});
  device_meta = make_device(device_class, {std::size(kTypes) - 1});
  def("_set_default_device(device)", kPrivate,
      "Set the default device of new tensors in this thread; None means the CPU.",
      [](PyObject* device) { default_devices.front() = device_argument("set_default_device", device); });
  def("_get_default_device()", kPrivate, "Return the default device of new tensors in this thread.",
      [] { return Py_NewRef(device_object(default_devices.back())); });
}

namespace {
// Returns the GPU with this index. If it does not exist, raises a RuntimeError that names what is missing.
Device gpu(int index) {
  if (index == kNoIndex) index = cuda::current_device();
  cuda::properties(index);
  return {DeviceType::Cuda, index};
}
}  // namespace

bool names_device(PyObject* o) {
  return o == Py_None || PyUnicode_Check(o) || is_device(o) || (PyLong_Check(o) && !PyBool_Check(o));
}

Placement From<Placement>::get(const Call& call, PyObject* o) {
  if (o == Py_None) return {};
  if (o == device_cpu) return {DeviceType::Cpu};
  if (PyLong_Check(o) && !PyBool_Check(o)) return {gpu(gpu_number(From<int64_t>::get(call, o)))};
  if (!names_device(o)) wrong_argument(call, "flambeau.device or str", o);
  const DeviceParts named = is_device(o) ? DeviceParts{device_of(o).type, device_of(o).index} : parse(text_of(o));
  if (named.type == kCuda) return {gpu(named.index)};
  for (const DeviceType known : {DeviceType::Cpu, DeviceType::Meta})
    if (kTypes[named.type] == name(known)) return {known};
  detail::raise<NotImplementedError>("tensors live on the CPU, on NVIDIA's GPUs (cuda), or on meta: the device '",
                                     kTypes[named.type], "' is not supported");
}

Device gpu_of(const char* function, PyObject* o) {
  if (o == Py_None) return gpu(kNoIndex);
  static const Parameter parameter{PyUnicode_InternFromString("device")};
  const Device device = *From<Placement>::get({function, &parameter, 0}, o).given;
  require<ValueError>(device == DeviceType::Cuda, function, "(): expected a CUDA device, got ", device);
  return device;
}

Device Placement::of_fresh() const {
  if (given) return *given;
  return OnDevice::current() == DeviceType::Cpu ? default_devices.back() : OnDevice::current();
}

}  // namespace flambeau::python
