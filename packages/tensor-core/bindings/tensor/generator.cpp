// Generator objects.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <cstring>

#include "calls/define.h"
#include "flambeau/thread_generator.h"
#include "operators/bind_objects.h"

namespace py = pybind11;

namespace flambeau::python {

Generator* From<Generator*>::get(const Call& call, PyObject* o) {
  if (o == Py_None) return nullptr;
  if (!py::isinstance<Generator>(o)) wrong_argument(call, "flambeau.Generator", o);
  return py::cast<Generator*>(py::handle(o));
}

namespace {

// A seed of 64 bits; negative ones wrap.
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

Tensor state_of(const Generator& g) {
  const OnDevice cpu{DeviceType::Cpu};
  Tensor t = empty({16}, Dtype::uint8);
  const uint64_t words[2] = {g.seed(), g.offset()};
  std::memcpy(t.bytes(), words, sizeof(words));
  return t;
}

void restore(Generator& g, const py::object& state) {
  require<TypeError>(is_tensor(state.ptr()), "expected a state of dtype uint8, but got ",
                     Py_TYPE(state.ptr())->tp_name);
  const Tensor& t = tensor_of(state.ptr());
  require<TypeError>(t.dtype() == Dtype::uint8, "expected a state of dtype uint8, got ", t.dtype());
  require(t.numel() == 16, "RNG state is wrong size: expected 16 bytes, got shape ", t.shape());
  uint64_t words[2];
  std::memcpy(words, contiguous(t).bytes(), sizeof(words));
  g.set_state(words[0], words[1]);
}

// One stream serves every device.
Generator for_device(const py::object& device) {
  static const Parameter parameter{PyUnicode_InternFromString("device")};
  const Placement place = From<Placement>::get({"Generator", &parameter, 0}, device.ptr());
  require<NotImplementedError>(!(place.given.value_or(Device()) == DeviceType::Meta),
                               "Generator(): the meta device has no values");
  return Generator(Generator::kDefaultSeed, place.given.value_or(Device()));
}

}  // namespace

void bind_generator(py::module_& m) {
  const py::call_guard<InterpreterSection> guard;
  py::class_<Generator>(m, "Generator",
                        "A source of random numbers (Philox 4x32-10): a seed and a position in its stream.")
      .def(py::init(&for_device), py::arg("device") = py::none())
      .def(
          "manual_seed",
          [](const py::object& self, const py::object& seed) {
            self.cast<Generator&>().set_state(seed_of(seed), 0);
            return self;
          },
          guard, py::arg("seed"), "Sets the seed and goes to the start of its stream; returns the generator.")
      .def("initial_seed", &Generator::seed, "The seed.")
      .def(
          "seed",
          [](Generator& g) {
            const uint64_t s = seed_from_entropy();
            g.set_state(s, 0);
            return s;
          },
          guard, "Sets a seed from the system's entropy and returns it.")
      .def("get_state", &state_of, guard, "The state, 16 bytes.")
      .def(
          "set_state",
          [](const py::object& self, const py::object& state) {
            restore(self.cast<Generator&>(), state);
            return self;
          },
          guard, py::arg("state"), "Restores a state from get_state().")
      .def(
          "clone_state", [](const Generator& g) { return Generator(g); }, guard,
          "Another generator in the same state, which goes its own way from there.")
      .def("get_offset", &Generator::offset, "The position in the stream.")
      .def(
          "set_offset", [](Generator& g, uint64_t offset) { g.set_state(g.seed(), offset); }, guard, py::arg("offset"),
          "Goes to a position in the stream.")
      .def_property_readonly(
          "device",
          [](const Generator& g) { return py::reinterpret_steal<py::object>(Py_NewRef(device_object(g.device()))); })
      .def(py::pickle(
          [](const Generator& g) {
            return py::make_tuple(g.seed(), g.offset(), int(g.device().type), int(g.device().index));
          },
          [](const py::tuple& t) {
            const Device device(DeviceType(t[2].cast<int>()), t[3].cast<int>());
            Generator g(t[0].cast<uint64_t>(), device);
            g.set_state(g.seed(), t[1].cast<uint64_t>());
            return g;
          }));
  m.def(
      "_seed_this_thread", [](const py::object& seed) { seed_this_thread(seed_of(seed)); }, py::arg("seed"),
      "Gives the calling thread a generator of its own, with this seed, for where no generator is named.");
  py::class_<RandomPlace>(m, "_RandomPlace", "Where numbers are drawn, to draw the same ones again.");
  m.def("_random_place", &random_place, "Where the thread's default generator is, or the CUDA graph it captures.");
  m.def("_draw_again", &draw_again, py::arg("place"), "Draws the numbers that follow a place, until `_go_on`.");
  m.def("_go_on", &go_on, py::arg("place"), "Goes back to the place of before `_draw_again`.");
  m.attr("default_generator") = py::cast(&default_generator(), py::return_value_policy::reference);
}

}  // namespace flambeau::python
