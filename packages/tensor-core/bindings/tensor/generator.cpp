// The type flambeau.Generator.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>

#include "calls/define.h"
#include "flambeau/guarded_calls.h"
#include "flambeau/pytorch_stream.h"
#include "flambeau/thread_generator.h"
#include "operators/bind_objects.h"

namespace py = pybind11;

namespace flambeau::python {

Generator* From<Generator*>::get(const Call& call, PyObject* o) {
  if (o == Py_None) return nullptr;
  if (!py::isinstance<Generator>(o) || guards::is_unfinished(o)) wrong_argument(call, "flambeau.Generator", o);
  return py::cast<Generator*>(py::handle(o));
}

namespace {

// Converts an int to a seed of 64 bits. Negative values wrap around.
uint64_t seed_of(const py::object& seed) {
  require(PyLong_Check(seed.ptr()), "manual_seed expected an int, but got ", Py_TYPE(seed.ptr())->tp_name);
  int overflow = 0;
  const long long value = PyLong_AsLongLongAndOverflow(seed.ptr(), &overflow);
  if (!overflow) return uint64_t(value);
  const unsigned long long large = overflow > 0 ? PyLong_AsUnsignedLongLong(seed.ptr()) : 0;
  if (overflow < 0 || PyErr_Occurred()) {
    PyErr_Clear();
    detail::raise<ValueError>("manual_seed: the seed must lie between -2**63 and 2**64 - 1");
  }
  return large;
}

Tensor counters_of(const Generator& g) {
  const OnDevice cpu{DeviceType::Cpu};
  Tensor t = empty({16}, Dtype::uint8);
  const uint64_t words[2] = {g.seed(), g.offset()};
  std::memcpy(t.bytes(), words, sizeof(words));
  return t;
}

Tensor state_of(const Generator& g) {
  if (!g.pytorch_stream()) return counters_of(g);
  const OnDevice cpu{DeviceType::Cpu};
  Tensor t = empty({PyTorchStream::kStateBytes}, Dtype::uint8);
  g.pytorch_stream()->save(t.bytes());
  return t;
}

const Tensor& checked_state(const py::object& state) {
  require<TypeError>(is_tensor(state.ptr()), "expected a state of dtype uint8, but got ",
                     Py_TYPE(state.ptr())->tp_name);
  const Tensor& t = tensor_of(state.ptr());
  require<TypeError>(t.dtype() == Dtype::uint8, "expected a state of dtype uint8, got ", t.dtype());
  return t;
}

void restore_counters(Generator& g, const py::object& state) {
  const Tensor& t = checked_state(state);
  require(t.numel() == 16, "RNG state is wrong size: expected 16 bytes, got shape ", t.shape());
  uint64_t words[2];
  std::memcpy(words, contiguous(t).bytes(), sizeof(words));
  g.set_state(words[0], words[1]);
}

// Restores a state. The size of the state determines whether the generator then draws flambeau's or PyTorch's random
// numbers.
void restore(Generator& g, const py::object& state) {
  const Tensor& t = checked_state(state);
  if (t.numel() == PyTorchStream::kStateBytes) {
    auto stream = std::make_unique<PyTorchStream>(0);
    stream->restore(contiguous(t).bytes());
    return g.set_pytorch_stream(std::move(stream));
  }
  require(t.numel() == 16, "RNG state is wrong size: expected 16 bytes, or ", PyTorchStream::kStateBytes,
          " of PyTorch's CPU generator, got shape ", t.shape());
  restore_counters(g, state);
  g.set_pytorch_stream(nullptr);
}

void require_counters(const Generator& g) {
  require(!g.pytorch_stream(), "CPU Generator does not use offset: the algorithm mt19937 has no offset");
}

py::tuple pickled(const Generator& g) {
  py::object stream = py::none();
  if (g.pytorch_stream()) {
    std::string bytes(size_t(PyTorchStream::kStateBytes), '\0');
    g.pytorch_stream()->save(bytes.data());
    stream = py::bytes(bytes);
  }
  return py::make_tuple(g.seed(), g.offset(), int(g.device().type), int(g.device().index), stream);
}

Generator unpickled(const py::tuple& t) {
  const Device device(DeviceType(t[2].cast<int>()), t[3].cast<int>());
  Generator g(t[0].cast<uint64_t>(), device);
  g.set_state(g.seed(), t[1].cast<uint64_t>());
  std::unique_ptr<PyTorchStream> stream;
  if (t.size() > 4 && !t[4].is_none()) {
    const auto bytes = t[4].cast<std::string>();
    require<ValueError>(int64_t(bytes.size()) == PyTorchStream::kStateBytes,
                        "the pickled state of the Generator is invalid: it has the wrong size");
    stream = std::make_unique<PyTorchStream>(0);
    stream->restore(bytes.data());
  }
  g.set_pytorch_stream(std::move(stream));
  return g;
}

// Creates a generator for a device. A seed gives the same random numbers on every device.
Generator for_device(const py::object& device) {
  static const Parameter parameter{PyUnicode_InternFromString("device")};
  const Placement placement = From<Placement>::get({"Generator", &parameter, 0}, device.ptr());
  require<NotImplementedError>(!(placement.given.value_or(Device()) == DeviceType::Meta),
                               "Generator(): the meta device has no values");
  return Generator(Generator::kDefaultSeed, placement.given.value_or(Device()));
}

}  // namespace

void bind_generator(py::module_& m) {
  const py::call_guard<InterpreterSection> guard;
  py::class_<Generator>(m, "Generator",
                        R"(Random number generator: a seed and a position in the stream of numbers.

The algorithm is Philox 4x32-10, or MT19937 with the numbers of PyTorch's CPU generator
(flambeau.random.use_pytorch_streams).

Args:
    device: device of the tensors for which the generator draws numbers.
Source: Salmon et al. 2011, doi:10.1145/2063384.2063405.

>>> generator = fb.Generator().manual_seed(0)
>>> x = fb.rand(3, generator=generator)
>>> fb.equal(x, fb.rand(3, generator=generator.manual_seed(0)))
True)")
      .def(py::init(&for_device), py::arg("device") = py::none())
      .def(
          "manual_seed",
          [](const py::object& self, const py::object& seed) {
            self.cast<Generator&>().reseed(seed_of(seed));
            return self;
          },
          guard, py::arg("seed"), "Set the seed, go to the start of its stream, and return the generator.")
      .def(
          "initial_seed", [](const Generator& g) { return g.pytorch_stream() ? g.pytorch_stream()->seed() : g.seed(); },
          "Return the seed.")
      .def(
          "seed",
          [](Generator& g) {
            const uint64_t s = seed_from_entropy();
            g.reseed(s);
            return s;
          },
          guard, "Set a seed from the system's entropy, and return it.")
      .def("get_state", &state_of, guard,
           "Return the state: 16 bytes, or 5056 in the format of PyTorch's CPU generator.")
      .def(
          "set_state",
          [](const py::object& self, const py::object& state) {
            restore(self.cast<Generator&>(), state);
            return self;
          },
          guard, py::arg("state"), "Restore a state from get_state().")
      .def(
          "clone_state", [](const Generator& g) { return Generator(g); }, guard,
          "Return an independent generator in the same state.")
      .def(
          "get_offset",
          [](const Generator& g) {
            require_counters(g);
            return g.offset();
          },
          "Return the position in the stream. Raises RuntimeError for the algorithm mt19937, which has no position.")
      .def(
          "set_offset",
          [](Generator& g, uint64_t offset) {
            require_counters(g);
            g.set_state(g.seed(), offset);
          },
          guard, py::arg("offset"), "Set the position in the stream.")
      .def("_get_counters", &counters_of, guard,
           "Return the state of the random number generator for GPUs as 16 bytes.")
      .def("_set_counters", &restore_counters, guard, py::arg("state"), "Restore a state from _get_counters().")
      .def_property_readonly("_settings", &Generator::settings, "The number of times that the state was set.")
      .def_property_readonly(
          "algorithm", [](const Generator& g) { return g.pytorch_stream() ? "mt19937" : "philox"; },
          "Algorithm: \"philox\", or \"mt19937\" for PyTorch's numbers on the CPU.")
      .def_property_readonly(
          "device",
          [](const Generator& g) { return py::reinterpret_steal<py::object>(Py_NewRef(device_object(g.device()))); })
      .def(py::pickle(&pickled, &unpickled));
  m.def(
      "_seed_this_thread", [](const py::object& seed) { seed_this_thread(seed_of(seed)); }, py::arg("seed"),
      "Set a default generator with this seed for the calling thread.");
  m.def("_use_pytorch_streams", &use_pytorch_streams, guard, py::arg("enabled"),
        "Choose PyTorch's random numbers or Philox for generators that are created or seeded from now on.");
  m.def("_uses_pytorch_streams", &uses_pytorch_streams,
        "Return True if new generators generate PyTorch's random numbers.");
  py::class_<RandomPosition>(m, "_RandomPosition",
                             "Position in the stream of random numbers, to generate the same numbers again.");
  m.def("_random_position", &random_position,
        "Return the position of the thread's default generator, or of the CUDA graph that is being captured.");
  m.def("_repeat_random_numbers", &repeat_random_numbers, py::arg("position"),
        "Generate the random numbers after a position, until `_restore_random_position` is called.");
  m.def("_restore_random_position", &restore_random_position, py::arg("position"),
        "Return to the position before `_repeat_random_numbers`.");
  m.attr("default_generator") = py::cast(&default_generator(), py::return_value_policy::reference);
}

}  // namespace flambeau::python
