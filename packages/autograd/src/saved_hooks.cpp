// Hooks on what the graph saves: autograd.graph.saved_tensors_hooks.
#include <pybind11/stl.h>

#include <optional>

#include "bind.h"

namespace py = pybind11;

namespace flambeau::autograd {

int hooked_threads = 0;  // under the interpreter's lock

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

}  // namespace

void pack(SavedTensor& saved, const Tensor& t) {
  const HookStack& stack = hook_stack();
  if (stack.pairs.empty()) return;
  const HookPair hooks = stack.pairs.back();
  NoRecording off;
  const Tensor given = alias(t);
  const uint32_t version = given.storage().version();
  const py::object packed = hooks.pack(py::reinterpret_steal<py::object>(wrap(given)));
  require(given.storage().version() == version, kPackChanged);
  saved.packed = std::make_unique<PackedTensor>(packed.inc_ref().ptr(), hooks.unpack.inc_ref().ptr(),
                                                saved.output >= 0 ? Edge{} : gradient_edge(t), t);
  saved.tensor = Tensor();
}

Tensor unpack(const SavedTensor& saved, Node* node) {
  const PackedTensor& packed = *saved.packed;
  const py::object result = py::reinterpret_borrow<py::object>(packed.unpack)(py::handle(packed.packed));
  const Tensor* t = python_interface->unwrap(result.ptr());
  require<TypeError>(t, "Output of saved tensor unpack_hook expected to be a Tensor but got result of type ",
                     Py_TYPE(result.ptr())->tp_name);
  require(t->shape() == packed.shape && t->dtype() == packed.dtype && t->device() == packed.device,
          "Output of saved tensor unpack_hook expected to be like the tensor that was packed, ", packed.dtype, " ",
          packed.shape, " on ", packed.device, ", but got ", t->dtype(), " ", t->shape(), " on ", t->device());
  const Tensor values = packed.contiguous ? contiguous(*t) : *t;
  const Edge edge = saved.output >= 0 ? Edge{Ref<Node>(node), uint32_t(saved.output)} : packed.edge;
  if (!edge.node || !grad_enabled()) return values;
  const Tensor out = alias(values);
  set_history(out, edge.node, edge.index);
  return out;
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
