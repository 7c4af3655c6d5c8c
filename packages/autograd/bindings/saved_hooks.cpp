// Hooks on what the graph saves: autograd.graph.saved_tensors_hooks.
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
  std::optional<std::string> refusal;  // why no hooks may be installed
};
HookStack& hook_stack() {
  static thread_local HookStack* stack = new HookStack;  // Python objects are not to be dropped when a thread ends
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

}  // namespace

std::unique_ptr<PackedTensor> pack(const Tensor& t) {
  const HookStack& stack = hook_stack();
  if (stack.pairs.empty()) return nullptr;
  const HookPair hooks = stack.pairs.back();
  NoRecording off;
  const Tensor given = alias(t);
  const uint32_t version = given.storage().version();
  py::object packed = hooks.pack(py::reinterpret_steal<py::object>(wrap(given)));
  require(given.storage().version() == version, kPackChanged);
  return std::make_unique<PackedObject>(t, std::move(packed), hooks.unpack);
}

void bind_saved_hooks(py::module_& m) {
  define(m, "push_saved_hooks", [](py::object pack, py::object unpack) {
    HookStack& stack = hook_stack();
    require(!stack.refusal, stack.refusal.value_or(""));
    stack.pairs.push_back({std::move(pack), std::move(unpack)});
    ++hooked_threads;
  });
  define(m, "pop_saved_hooks", [] {
    require(!hook_stack().pairs.empty(), "pop_saved_hooks() without push_saved_hooks() in this thread");
    hook_stack().pairs.pop_back();
    --hooked_threads;
  });
  define(
      m, "refuse_saved_hooks",
      [](std::optional<std::string> why) {  // the former reason
        HookStack& stack = hook_stack();
        require(!why || stack.pairs.empty(), why.value_or(""));
        return std::exchange(stack.refusal, std::move(why));
      },
      py::arg("why").none(true));
}

}  // namespace flambeau::autograd
