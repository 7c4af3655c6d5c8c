// Layers of recurrent networks.
#include "flambeau/recurrent.h"

#include "bind.h"

namespace flambeau::python {

namespace {

Cell cell_of(std::string_view mode) {
  constexpr std::string_view names[] = {"RNN_TANH", "RNN_RELU", "LSTM", "GRU"};
  for (int i = 0; i < 4; ++i)
    if (mode == names[i]) return Cell(i);
  require<ValueError>(false, "Unrecognized RNN mode: ", mode);
  return Cell::Tanh;
}

}  // namespace

void bind_recurrent() {
  def("_recurrent_layer(mode, input, sizes, backwards, hidden, weight_ih, weight_hh, bias_ih=None, bias_hh=None, "
      "projection=None, state=None)",
      kPrivate | kLowerPrecision,
      "One layer in one direction over the rows of all times, sizes of them at each: their outputs, and the hidden "
      "state and (of an LSTM) the state of each sequence at its end. Gradient: all tensors.",
      [](std::string_view mode, const Tensor& input, const Shape& sizes, bool backwards, const Tensor& hidden,
         const Tensor& weight_ih, const Tensor& weight_hh, const Tensor& bias_ih, const Tensor& bias_hh,
         const Tensor& projection, const Tensor& state) {
        const RecurrentOutput r =
            recurrent_layer(cell_of(mode), input, hidden, state, {weight_ih, weight_hh, bias_ih, bias_hh, projection},
                            std::vector<int64_t>(sizes.begin(), sizes.end()), backwards);
        return r.state.defined() ? Tensors{r.output, r.hidden, r.state} : Tensors{r.output, r.hidden};
      });
}

}  // namespace flambeau::python
