// Handling of signals in loops whose steps take nanoseconds.
#pragma once

#include "flambeau/interpreter.h"

namespace flambeau {

// Calls poll_signals() once for every 65,536 calls, because reading the clock takes longer than a step of the loop.
class RarePolls {
 public:
  void operator()() {
    if (++calls_ % (1 << 16) == 0) poll_signals();
  }

 private:
  int64_t calls_ = 0;
};

}  // namespace flambeau
