// A run of a merged convolution. Note [Merged products]
#pragma once

#include <memory>
#include <vector>

#include "operators/convolution/convolution.h"
#include "program/product_run.h"

namespace flambeau::program {

class ConvolutionRun {
 public:
  // `arguments`: the arguments of run_merged().
  ConvolutionRun(const MergedProduct& merged, Arguments arguments);

  // Finds the sizes and the weights for an input. Reads only the shape and the dtype of the input. Returns false if the
  // operators have to run one by one.
  bool prepare(const Tensor& input);
  // Computes the result for the input. Requires a call of prepare().
  Merged compute(const Tensor& input, Value& result) const;
  Merged run(Value& result);

  // The following values are known after prepare().
  const ConvolutionGeometry& geometry() const { return geometry_; }
  const PreparedWeights& weights() const { return *weights_; }
  // Returns the weights packed as the left matrix of a product, or null if they are not packed in this way.
  const void* panels() const;
  // Returns the epilogue that runs the steps on the result, or nothing if an epilogue cannot run them.
  std::optional<Epilogue> epilogue() const;

 private:
  bool find_geometry(const Tensor& input);
  bool transforms() const;
  bool packs() const;
  PreparedWeights prepared(bool pack) const;

  const MergedProduct& merged_;
  const Arguments arguments_, operands_;
  std::vector<Tensor> tensors_;  // weight and bias of the convolution; weight, bias, mean and variance of the norm
  ConvolutionGeometry geometry_ = {};
  Shape shape_;  // shape of the result
  Dtype dtype_ = {};
  std::shared_ptr<const PreparedWeights> weights_;
};

}  // namespace flambeau::program
