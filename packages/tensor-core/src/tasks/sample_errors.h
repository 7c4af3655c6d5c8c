// Error messages of samplers for invalid arguments. On the CPU, the errors are raised immediately; on a GPU, at the
// next synchronisation (cuda/runtime/report.cpp).
#pragma once

#include <cstdint>
#include <ostream>

namespace flambeau {

struct WrongProbability {
  friend std::ostream& operator<<(std::ostream& to, WrongProbability) {
    return to << "Expected p_in >= 0 && p_in <= 1 to be true: the probabilities must lie in [0, 1]";
  }
};

struct WrongRate {
  double rate;
  friend std::ostream& operator<<(std::ostream& to, WrongRate w) {
    return to << "invalid Poisson rate, expected rate to be non-negative, got " << w.rate;
  }
};

struct WrongWeight {
  int64_t row, position;
  double weight;
  friend std::ostream& operator<<(std::ostream& to, WrongWeight w) {
    return to << "probability tensor contains either `inf`, `nan` or element < 0: row " << w.row << " has " << w.weight
              << " at " << w.position;
  }
};

struct WrongDistribution {
  int64_t row;
  friend std::ostream& operator<<(std::ostream& to, WrongDistribution w) {
    return to << "invalid multinomial distribution (sum of probabilities <= 0) in row " << w.row;
  }
};

}  // namespace flambeau
