// Execution of products together with the operators that follow them. Note [Merged products]
#include "program/merged_product.h"

#include "operators/products/products.h"
#include "program/convolution_run.h"

namespace flambeau::program {

namespace {

class LinearRun {
 public:
  LinearRun(const MergedProduct& merged, Arguments arguments) : merged_(merged), arguments_(arguments) {}

  Merged run(Value& result) const {
    const Tensor &input = tensor_of(*arguments_[0]), &weight = tensor_of(*arguments_[1]),
                 &bias = tensor_of(*arguments_[2]);
    if (!fits(input) || !is_real(input.dtype()) || input.numel() == 0 || input.dim() == 0) return Merged::None;
    if (!fits(weight) || weight.dim() != 2 || weight.numel() == 0 || weight.dtype() != input.dtype() ||
        weight.size(1) != input.size(-1))
      return Merged::None;
    if (bias.defined() &&
        (!fits(bias) || bias.dim() != 1 || bias.size(0) != weight.size(0) || bias.dtype() != input.dtype()))
      return Merged::None;
    const int64_t rows = input.numel() / weight.size(1);
    const Tensor tensors[] = {weight, bias};
    const auto weights =
        merged_.weights.get(tensors, rows > 1, [&](bool pack) { return prepared(weight, bias, pack); });
    Shape shape = input.shape();
    shape.back() = weight.size(0);
    const Tensor out = empty(shape, input.dtype());
    std::optional<Epilogue> epilogue = EpilogueBuilder(merged_, arguments_ + 3, out.shape(), out.dtype()).build();
    if (epilogue) epilogue->set_result(out.bytes());
    kernels::ProductFinish finish = epilogue ? epilogue->finish() : kernels::ProductFinish();
    if (bias.defined()) finish.column_bias = bias.bytes();
    const void* const panels = weights->panels.defined() ? weights->panels.bytes() : nullptr;
    const int64_t in = weight.size(1);
    gemm(rows, weight.size(0), in, {{input.bytes(), in, 1}}, {{weight.bytes(), 1, in}, panels, in}, out.bytes(),
         weight.size(0), out.dtype(), finish);
    result = out;
    return epilogue ? Merged::All : Merged::Product;
  }

 private:
  static PreparedWeights prepared(const Tensor& weight, const Tensor& bias, bool pack) {
    PreparedWeights out{weight, bias, {}};
    if (!pack) return out;
    const kernels::ProductTable& table = kernels::products();
    const int kind = weight.dtype() == Dtype::float64;
    const int64_t in = weight.size(1), panel = table.panel_columns[kind];
    out.panels = panel_memory((weight.size(0) + panel - 1) / panel * panel * in, weight.dtype());
    table.pack_columns[kind](out.panels.bytes(), weight.size(0), in, {weight.bytes(), 1, in});
    return out;
  }

  const MergedProduct& merged_;
  const Arguments arguments_;
};

}  // namespace

bool is_product(const Program::Body::Instruction& instruction) {
  const std::string_view name = instruction.function->name;
  for (const Program::Body::Argument& a : instruction.arguments)
    if (a.kind == Program::Body::Argument::List) return false;
  return name == "conv1d" || name == "conv2d" || name == "conv3d" || name == "linear";
}

Merged run_merged(const MergedProduct& merged, Arguments arguments, Value& result) {
  return merged.product.function->name == "linear" ? LinearRun(merged, arguments).run(result)
                                                   : ConvolutionRun(merged, arguments).run(result);
}

}  // namespace flambeau::program
