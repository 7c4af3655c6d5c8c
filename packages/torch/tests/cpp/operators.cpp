// Operators that test_cpp_operators.py calls from Python: TORCH_LIBRARY and torch::autograd::Function.
#include <Python.h>
#include <torch/all.h>
#include <torch/library.h>

using torch::autograd::AutogradContext;
using torch::autograd::Variable;
using torch::autograd::variable_list;

namespace {

at::Tensor scaled(const at::Tensor& x, double factor, c10::optional<at::Tensor> shift) {
  at::Tensor out = torch::empty(x.sizes(), x.options());
  const at::Tensor in = x.contiguous();
  for (int64_t i = 0; i < x.numel(); ++i) out.data_ptr<double>()[i] = in.data_ptr<double>()[i] * factor;
  return shift ? out + *shift : out;
}
at::Tensor scaled_meta(const at::Tensor& x, double, c10::optional<at::Tensor>) { return torch::empty_like(x); }

void write_sum(at::TensorList tensors, at::Tensor out) {
  out.zero_();
  for (const at::Tensor& t : tensors) out.add_(t);
}

// Values of other types than tensors.
std::tuple<int64_t, std::string, std::vector<double>, bool> echo(int64_t i, std::string s, std::vector<double> v,
                                                                 bool b) {
  return {i + 1, s + "!", v, !b};
}
c10::Dict<std::string, at::Tensor> doubled(c10::Dict<std::string, at::Tensor> named) {
  c10::Dict<std::string, at::Tensor> out;
  for (const auto& entry : named) out.insert(entry.key(), entry.value() * 2);
  return out;
}
int64_t sum_of(at::IntArrayRef values, at::ScalarType dtype) {
  int64_t sum = at::elementSize(dtype) * 1000;
  for (const int64_t v : values) sum += v;
  return sum;
}

// Computes x**power + y. The gradient of y equals the result's gradient; the gradient of x also depends on the saved x.
class CubeAdd : public torch::autograd::Function<CubeAdd> {
 public:
  static variable_list forward(AutogradContext* ctx, Variable x, int64_t power, Variable y, c10::optional<Variable>) {
    ctx->save_for_backward({x});
    ctx->saved_data["power"] = power;
    ctx->saved_data["shape"] = y.sizes();
    return {x.pow(power) + y, y.gt(0)};
  }
  static variable_list backward(AutogradContext* ctx, variable_list gradients) {
    const auto saved = ctx->get_saved_variables();
    const int64_t power = ctx->saved_data["power"].toInt();
    TORCH_CHECK(ctx->saved_data["shape"].toIntVector().size() == 1);
    at::Tensor for_x;
    if (ctx->needs_input_grad(0)) for_x = gradients[0] * saved[0].pow(power - 1) * power;
    return {for_x, Variable(), gradients[0], Variable()};
  }
};
std::tuple<at::Tensor, at::Tensor> cube_add(at::Tensor x, at::Tensor y) {
  const auto results = CubeAdd::apply(x, 3, y, c10::nullopt);
  return {results[0], results[1]};
}

// An operator with an autograd kernel, which calls the operator's kernel for the device.
class Halved : public torch::autograd::Function<Halved> {
 public:
  static Variable forward(AutogradContext*, Variable x) {
    at::AutoDispatchBelowADInplaceOrView below;
    static auto op =
        c10::Dispatcher::singleton().findSchemaOrThrow("cpp_test::halved", "").typed<at::Tensor(at::Tensor)>();
    return op.call(x);
  }
  static variable_list backward(AutogradContext*, variable_list gradients) { return {gradients[0] / 2}; }
};
at::Tensor halved(at::Tensor x) { return x / 2; }
at::Tensor halved_autograd(at::Tensor x) { return Halved::apply(x); }

at::Tensor hypotenuse(at::Tensor x, at::Tensor y) { return (x * x + y * y).sqrt(); }

at::Tensor shifted_by(const at::Tensor& x, const at::Tensor& by) { return x + by; }
// Calls another overload by its name.
at::Tensor shifted_twice(const at::Tensor& x) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("cpp_test::shifted", "number")
                             .typed<at::Tensor(at::Tensor, double)>();
  return op.call(op.call(x, 1.0), 1.0);
}

}  // namespace

TORCH_LIBRARY(cpp_test, m) {
  m.def("scaled(Tensor x, float factor=2.0, *, Tensor? shift=None) -> Tensor");
  m.def("write_sum(Tensor[] tensors, Tensor(a!) out) -> ()");
  m.def("halved(Tensor x) -> Tensor");
  m.def("cube_add", &cube_add);
}
TORCH_LIBRARY_IMPL(cpp_test, CPU, m) {
  m.impl("scaled", &scaled);
  m.impl("write_sum", TORCH_FN(write_sum));
  m.impl("halved", &halved);
}
TORCH_LIBRARY_IMPL(cpp_test, Meta, m) { m.impl("scaled", &scaled_meta); }
TORCH_LIBRARY_IMPL(cpp_test, Autograd, m) { m.impl("halved", &halved_autograd); }
TORCH_LIBRARY_FRAGMENT(cpp_test, m) {
  m.def("hypotenuse(Tensor x, Tensor y) -> Tensor", &hypotenuse);
  m.def("echo", &echo);
  m.def("shifted.number(Tensor x, float by) -> Tensor", [](const at::Tensor& x, double by) { return x + by; });
  m.def("shifted.tensor(Tensor x, Tensor by) -> Tensor");
  m.def("shifted.twice", &shifted_twice);
}
TORCH_LIBRARY_IMPL(cpp_test, CompositeImplicitAutograd, m) { m.impl("shifted.tensor", &shifted_by); }

static auto registry = torch::RegisterOperators()
                           .op("cpp_test::doubled", &doubled)
                           .op("cpp_test::sum_of(int[] values, ScalarType dtype) -> int", &sum_of);
