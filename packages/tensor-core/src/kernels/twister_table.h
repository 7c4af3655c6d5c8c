// Kernels for random numbers that are equal to PyTorch's; table.h holds the other kernels. Note [PyTorch's streams]
#pragma once

#include <cstdint>

namespace flambeau::kernels {

struct TwisterTable {
  // Computes the next 624 words of the state in place.
  void (*twist)(uint32_t* state);
  // Converts n words of the state to output words.
  void (*temper)(uint32_t* out, const uint32_t* state, int64_t n);
  // Compute uniform numbers in [low, high), each from the lower 24 bits of one word, or the lower 53 bits of two.
  void (*uniform)(float* out, const uint32_t* words, int64_t n, float low, float high);
  void (*uniform_double)(double* out, const uint32_t* words, int64_t n, double low, double high);
  // Converts blocks of 16 uniform numbers to normal ones, in place.
  void (*normal)(float* values, int64_t blocks, float mean, float std);
  // out[i] is 1 if a number of 53 bits, from two words, is below the threshold, else 0.
  void (*below)(uint8_t* out, const uint32_t* words, int64_t n, uint64_t threshold);
  // Multiplies the elements of `in` by a factor where the mask is 1, and by 0 elsewhere. For float32 and float64.
  void (*masked[2])(char* out, const char* in, const uint8_t* mask, int64_t n, double factor);
};

const TwisterTable& twister_table();

}  // namespace flambeau::kernels
