// Epilogues of convolutions and products. Note [Epilogues]
#include "operators/pointwise/epilogue.h"

#include <algorithm>

namespace flambeau {

void Epilogue::add(PointwiseKernel kernel, std::span<const Source> operands) {
  Step step{.kernel = kernel};
  for (const Source& source : operands) {
    step.kinds[step.count] = source.kind;
    if (source.kind == Source::Number)
      step.data[step.count] = numbers_.emplace_back(full({kPiece}, source.number, dtype_)).bytes();
    else if (source.kind == Source::Elements)
      step.data[step.count] = source.tensor->bytes();
    ++step.count;
  }
  steps_.push_back(step);
}

bool Epilogue::reads_tensors() const {
  return std::ranges::any_of(steps_, [](const Step& step) {
    return std::ranges::count(std::span(step.kinds, size_t(step.count)), Source::Elements) > 0;
  });
}

void Epilogue::apply(char* piece, int64_t n) const {
  for (; n > 0; piece += kPiece * size_, n -= kPiece) {
    const int64_t count = std::min(n, kPiece);
    for (const Step& step : steps_) {
      if (!step.kernel) {
        kernels::networks().limit[dtype_ == Dtype::float64](piece, count, step.limits);
        continue;
      }
      char* pointers[kMaxOperands + 1] = {piece};
      for (int k = 0; k < step.count; ++k)
        pointers[k + 1] = step.kinds[k] == Source::Result     ? piece
                          : step.kinds[k] == Source::Elements ? const_cast<char*>(step.data[k]) + (piece - result_)
                                                              : const_cast<char*>(step.data[k]);
      step.kernel(pointers, count);
    }
  }
}

kernels::ProductFinish Epilogue::finish() const {
  kernels::ProductFinish out;
  if (empty()) return out;
  if (steps_.size() == 1 && !steps_[0].kernel) {
    out.limits = &steps_[0].limits;
    return out;
  }
  out.context = this;
  out.run = [](const void* context, void* block, int64_t rows, int64_t columns, int64_t ldc) {
    const Epilogue& self = *static_cast<const Epilogue*>(context);
    char* const data = static_cast<char*>(block);
    if (columns == ldc) return self.apply(data, rows * columns);
    for (int64_t i = 0; i < rows; ++i) self.apply(data + i * ldc * self.size_, columns);
  };
  return out;
}

}  // namespace flambeau
