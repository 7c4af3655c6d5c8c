// A thread may draw from a generator of its own where no generator is named, so that threads that prepare data neither
// disturb each other's random numbers nor those of the program.
#pragma once

#include "flambeau/random.h"

namespace flambeau {

// From here on default_generator() is, in the calling thread, a generator of its own in this state.
FLAMBEAU_API void seed_this_thread(uint64_t seed);

// A seed that the system makes of its entropy: the default generator has one until a program seeds it.
FLAMBEAU_API uint64_t seed_from_entropy();

}  // namespace flambeau
