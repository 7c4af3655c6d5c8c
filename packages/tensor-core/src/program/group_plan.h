// Plan of a group of operators for arguments of one layout. Note [Fusion].
#pragma once

#include "operators/pointwise/chain.h"
#include "program/fusion.h"
#include "program/gpu_chain.h"

namespace flambeau::program {

class GroupPlan {
 public:
  using Arguments = const Value* const*;

  GroupPlan(const FusedGroup& group, Arguments arguments);

  // Returns true if the plan was made for the layout of these arguments.
  bool serves(Arguments arguments) const;
  // Returns false if the operators have to run one by one.
  bool has_chain() const { return chain_ || gpu_chain_; }
  // Returns true if all results have the shape of the chain, which computes all of them.
  bool is_uniform() const { return has_chain() && priors_.empty(); }
  void run(Arguments arguments, Values& results) const;

  static Scalar number_of(const Value& value);

 private:
  // The properties of an argument on which a plan depends. The last four members are set only for tensors on the CPU or
  // a GPU that need no gradient.
  struct Layout {
    enum Kind : uint8_t { Other, Number, Tensor } kind = Other;
    Device device = {};
    Dtype dtype = {};
    Shape shape = {};
    Shape strides = {};

    static Kind kind_of(const Value& value);
    static Layout of(const Value& value);
    bool matches(const Value& value) const;
  };
  // A tensor or number that is an argument of a run or is computed before the chain.
  struct Source {
    enum Kind : uint8_t { None, Argument, Prior } kind = None;
    int number = 0;
  };
  struct PriorRow {
    PointwiseOp row;
    SmallVector<Source, kMaxOperands> operands;
  };
  struct Norm {
    Source weight, bias, mean, variance;
    double eps;
  };
  struct Output {
    Source source;  // not None if the result is computed before the chain
    int value = 0;  // if `source` is None: index of the result among the values of the chain
    Dtype dtype = {};
    Shape shape = {};
    SmallVector<int, 4> reusable;  // arguments whose memory the result can reuse if nothing else refers to them
  };
  class Planner;
  class Run;

  // `priors` contains the results of operators that run before the chain.
  static Operand operand(const Source& source, Arguments arguments, const std::vector<Tensor>& priors);
  static Tensor computed(const PriorRow& prior, Arguments arguments, const std::vector<Tensor>& earlier);

  std::vector<Layout> layouts_;
  std::vector<PriorRow> priors_;
  std::vector<Source> inputs_, weights_;
  std::vector<Norm> norms_;
  std::vector<Output> outputs_;
  Device device_;
  Dtype dtype_ = Dtype::float32;
  Shape shape_;
  std::unique_ptr<const ChainPlan> chain_;     // set if the group runs on the CPU
  std::unique_ptr<const GpuChain> gpu_chain_;  // set if the group runs on a GPU
};

}  // namespace flambeau::program
