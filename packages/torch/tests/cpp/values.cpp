// Functions that test_cpp_extension.py compares with NumPy: tensors, operators and elements in ATen's interface.
#include <torch/extension.h>

#include <numeric>

using torch::indexing::Ellipsis;
using torch::indexing::None;
using torch::indexing::Slice;

std::vector<torch::Tensor> arithmetic(torch::Tensor x, torch::Tensor y) {
  torch::Tensor changed = x.clone();
  changed += y;
  changed *= 2;
  changed[0] = 7;
  changed[1][0] = y[0][0];
  return {x + y * 2 - 1 / y, x.mm(y.t()), (x > 0).logical_and(y < 1), -x, at::pow(2, x), changed, 1 - x.tanh().pow(2)};
}

std::vector<torch::Tensor> reductions(torch::Tensor x) {
  auto [values, indices] = x.max(1);
  auto sorted = x.sort(/*dim=*/0, /*descending=*/true);
  return {x.sum(),
          x.sum(0, /*keepdim=*/true),
          x.sum({0, 1}),
          x.mean(-1),
          x.std(),
          x.std({1}, false),
          x.norm(),
          values,
          indices,
          std::get<0>(sorted),
          x.argmax(1),
          x.cumsum(1),
          torch::softmax(x, 1),
          x.sum(torch::kDouble)};
}

std::vector<torch::Tensor> shapes(torch::Tensor x) {  // x has the shape (2, 3, 4)
  auto parts = x.split({1, 2}, 1);
  auto halves = x.chunk(2, -1);
  return {x.view({-1, 4}),
          x.permute({2, 0, 1}),
          x.reshape(-1),
          x.unsqueeze(0).squeeze(),
          x.transpose(0, 1),
          torch::cat({x, x}, 1),
          torch::stack({x, x}),
          parts[1],
          halves[0],
          x.index({Slice(), 1, Ellipsis}),
          x.index({0, None, Slice(1, None, 1)}),
          x.slice(2, 1, 3),
          x.select(1, -1),
          x.flatten(1),
          x.repeat({1, 2, 1}),
          x.expand({2, 2, 3, 4}),
          x.to(torch::kInt),
          x.roll(1, 0)};
}

std::vector<torch::Tensor> made(torch::Tensor like) {
  const auto options = torch::TensorOptions().dtype(torch::kInt64);
  torch::Tensor filled = torch::empty_like(like).fill_(3);
  filled.index_put_({Slice(), 0}, -1);
  filled.index_put_({torch::tensor({1, 1}), 1}, 5);
  return {torch::zeros({2, 3}),
          torch::ones(4, options),
          torch::full({2}, 1.5),
          torch::arange(5),
          torch::arange(1, 2, 0.25, at::kDouble),
          torch::eye(3, at::kFloat),
          torch::linspace(0, 1, 5),
          torch::zeros_like(like, at::kHalf),
          torch::tensor({1.5, 2.5}),
          torch::tensor(7),
          like.new_zeros({2}),
          like.new_full({2}, 9),
          filled};
}

template <class scalar_t>
void add_rows(at::TensorAccessor<scalar_t, 2> in, at::TensorAccessor<scalar_t, 1> out) {
  for (int64_t i = 0; i < in.size(0); ++i)
    for (int64_t j = 0; j < in.size(1); ++j) out[i] += in[i][j];
}

torch::Tensor row_sums(torch::Tensor x) {
  TORCH_CHECK(x.dim() == 2, "row_sums expects a matrix, got ", x.sizes());
  torch::Tensor out = torch::zeros({x.size(0)}, x.options());
  AT_DISPATCH_ALL_TYPES_AND(at::ScalarType::Half, x.scalar_type(), "row_sums",
                            [&] { add_rows(x.accessor<scalar_t, 2>(), out.accessor<scalar_t, 1>()); });
  return out;
}

torch::Tensor square_in_parallel(const torch::Tensor& x) {
  torch::Tensor in = x.contiguous(), out = torch::empty_like(in);
  const double* from = in.const_data_ptr<double>();
  double* to = out.mutable_data_ptr<double>();
  at::parallel_for(0, in.numel(), 1000, [&](int64_t begin, int64_t end) {
    TORCH_CHECK(at::get_thread_num() < at::get_num_threads());
    for (int64_t i = begin; i < end; ++i) to[i] = from[i] * from[i];
  });
  return out;
}

double sum_in_parallel(const torch::Tensor& x) {
  const double* from = x.const_data_ptr<double>();
  return at::parallel_reduce(
      0, x.numel(), 100, 0.0,
      [&](int64_t begin, int64_t end, double start) { return std::accumulate(from + begin, from + end, start); },
      std::plus<double>());
}

torch::Tensor owned_elsewhere() {
  double* data = new double[4]{1, 2, 3, 4};
  return torch::from_blob(data, {2, 2}, [](void* p) { delete[] static_cast<double*>(p); }, at::kDouble).clone();
}

std::string described(torch::Tensor x, c10::optional<torch::Tensor> y, at::ScalarType dtype, torch::Device device,
                      at::IntArrayRef dims, at::Scalar number) {
  return c10::str(x.sizes(), x.strides(), x.dtype(), x.device(), x.is_contiguous(), y.has_value(), dtype, device, dims,
                  number);
}

void raise(int64_t kind) {
  if (kind == 0) TORCH_CHECK_INDEX(false, "index");
  if (kind == 1) TORCH_CHECK_VALUE(false, "value");
  if (kind == 2) TORCH_CHECK_TYPE(false, "type");
  if (kind == 3) TORCH_CHECK_NOT_IMPLEMENTED(false, "absent");
  AT_ASSERTM(kind < 0, "kind ", kind);
}

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m, py::mod_gil_not_used()) {
  m.def("arithmetic", &arithmetic);
  m.def("reductions", &reductions);
  m.def("shapes", &shapes);
  m.def("made", &made);
  m.def("row_sums", &row_sums);
  m.def("square_in_parallel", &square_in_parallel);
  m.def("sum_in_parallel", &sum_in_parallel);
  m.def("owned_elsewhere", &owned_elsewhere);
  m.def("described", &described, py::arg("x"), py::arg("y"), py::arg("dtype"), py::arg("device"), py::arg("dims"),
        py::arg("number"));
  m.def("raise", &raise);
}
