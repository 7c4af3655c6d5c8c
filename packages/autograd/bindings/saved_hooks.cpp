// Hooks on saved tensors: autograd.graph.saved_tensors_hooks.
#include <pybind11/stl.h>

#include <optional>

#include "bind.h"

namespace py = pybind11;

namespace flambeau::autograd {

namespace {

struct HookPair {
  py::object pack, unpack;
};
struct HookStack {
  std::vector<HookPair> pairs;
  std::optional<std::string> rejection;  // error message if hooks are disabled
};
HookStack& hook_stack() {
  // Never freed, because Python objects must not be released when a thread ends
  static thread_local HookStack* stack = new HookStack;
  return *stack;
}

constexpr const char kPackChanged[] =
    "A saved tensor pack hook is modifying its input in place. Tensors provided as input to pack hook can not be "
    "modified by in-place operations as this can lead to unexpected side-effects. Change a clone() instead.";

class PackedObject final : public PackedTensor {
 public:
  PackedObject(const Tensor& t, py::object packed, py::object unpack)
      : PackedTensor(t), packed_(std::move(packed)), unpack_(std::move(unpack)) {}
  Tensor unpack() const override {
    const py::object result = unpack_(packed_);
    const Tensor* t = python_interface->unwrap(result.ptr());
    require<TypeError>(t, "Output of saved tensor unpack_hook expected to be a Tensor but got result of type ",
                       Py_TYPE(result.ptr())->tp_name);
    return *t;
  }

 private:
  const py::object packed_, unpack_;
};

// Packs `t` with the pack hook, which receives `given`, a tensor with the elements of `t`.
std::unique_ptr<PackedTensor> packed_by(const HookPair& hooks, const Tensor& t, const Tensor& given) {
  NoRecording off;
  const uint32_t version = given.storage().version();
  py::object packed = hooks.pack(py::reinterpret_steal<py::object>(wrap(given)));
  require(given.storage().version() == version, kPackChanged);
  return std::make_unique<PackedObject>(t, std::move(packed), hooks.unpack);
}

PyObject* change_callback = nullptr;

void report_change(const Tensor& changed) {
  const py::gil_scoped_acquire gil;
  const NoRecording off;
  const Storage& memory = changed.storage();
  const void* address = memory.device() == DeviceType::Cpu ? memory.data() : memory.device_data();
  owned(PyObject_CallFunction(change_callback, "n", Py_ssize_t(address)));
}

void register_hooks(const SavedReference& saved, py::function pack, py::function unpack) {
  require(saved.index >= 0, "Calling register_hooks on a saved tensor with value None is forbidden");
  auto& node = dynamic_cast<OperatorNode&>(*saved.node);
  const size_t i = size_t(saved.index);
  require(i < node.saved_count(),
          "Calling register_hooks on a saved tensor after it has been freed. Saved intermediate values of the graph "
          "are freed when you call .backward() or autograd.grad(). Specify retain_graph=True if you need to backward "
          "through the graph a second time or if you need to access saved variables after calling backward.");
  require(!node.saved(i).packed,
          "Calling register_hooks on a saved tensor whose hooks have already been set. Hint: only one pair of hooks is "
          "allowed at a time.");
  const Tensor t = node.saved_tensor(i);
  require(t.defined(), "Calling register_hooks on a saved tensor with value None is forbidden");
  node.pack_saved(i, packed_by({std::move(pack), std::move(unpack)}, t, alias(t)));
}

}  // namespace

std::unique_ptr<PackedTensor> pack(const Tensor& t, bool is_output) {
  const HookStack& stack = hook_stack();
  if (stack.pairs.empty()) return nullptr;
  const HookPair hooks = stack.pairs.back();
  // Pass an input to the hook as the program's object, for example a Parameter. Detach an output, because its graph
  // contains the node that saves it.
  return packed_by(hooks, t, is_output ? alias(t) : t);
}

void bind_saved_hooks(py::module_& m) {
  define(m, "push_saved_hooks", [](py::object pack, py::object unpack) {
    HookStack& stack = hook_stack();
    require(!stack.rejection, stack.rejection.value_or(""));
    stack.pairs.push_back({std::move(pack), std::move(unpack)});
    ++hooked_threads;
  });
  define(m, "pop_saved_hooks", [] {
    require(!hook_stack().pairs.empty(), "pop_saved_hooks() without push_saved_hooks() in this thread");
    hook_stack().pairs.pop_back();
    --hooked_threads;
  });
  define(
      m, "reject_saved_hooks",
      [](std::optional<std::string> why) {  // returns the previous reason
        HookStack& stack = hook_stack();
        require(!why || stack.pairs.empty(), why.value_or(""));
        return std::exchange(stack.rejection, std::move(why));
      },
      py::arg("why").none(true));
  // Sets callback(address), which is called before the memory at an address changes; None removes the callback.
  define(m, "call_before_changes", [](const py::object& callback) {
    change_observer = callback.is_none() ? nullptr : report_change;
    Py_XSETREF(change_callback, callback.is_none() ? nullptr : Py_NewRef(callback.ptr()));
  });
  define(m, "saved_hooks_rejected", [] { return hook_stack().rejection.has_value(); });
  py::class_<SavedReference>(
      m, "SavedTensor",
      R"(Tensor that a node saves for the backward pass. Hooks can replace it, for example with a copy on disk.

>>> x = fb.tensor(3.0, requires_grad=True)
>>> y = x * x
>>> saved = y.grad_fn._raw_saved_self
>>> saved.register_hooks(lambda tensor: tensor.item(), lambda number: fb.tensor(number))
>>> y.backward()
>>> x.grad
tensor(6.))")
      .def(py::init([]() -> SavedReference {
        require(false, "Trying to create a SavedTensor object from Python is forbidden.");
        return {};
      }))
      .def("register_hooks", &register_hooks, py::call_guard<InterpreterSection>(), py::arg("pack_hook"),
           py::arg("unpack_hook"),
           "Save ``pack_hook(tensor)`` instead of the tensor. ``unpack_hook`` must convert it back to the tensor.");
}

}  // namespace flambeau::autograd
