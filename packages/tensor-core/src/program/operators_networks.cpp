// Layers, activations, losses.
#include "program/operators.h"

namespace flambeau::program {

Family network_operators() {
  return {
      op("mse_loss", mse_loss),
  };
}

}  // namespace flambeau::program
