// A thread can have a separate default generator. Threads that prepare data then affect neither each other's random
// numbers nor the random numbers of the program.
#pragma once

#include "flambeau/random.h"

namespace flambeau {

// Gives the calling thread a separate default_generator() with this state.
FLAMBEAU_API void seed_this_thread(uint64_t seed);

// Returns a seed from the entropy of the system. The default generator uses such a seed until a program seeds it.
FLAMBEAU_API uint64_t seed_from_entropy();

}  // namespace flambeau
