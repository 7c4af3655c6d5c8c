// Kernels of PyTorch's streams; table.h holds the others. Note [PyTorch's streams]
#pragma once

#include <cstdint>

namespace flambeau::kernels {

struct TwisterTable {
  void (*twist)(uint32_t* state);                                   // to the next 624 words, in place
  void (*temper)(uint32_t* out, const uint32_t* state, int64_t n);  // what is drawn of each word of a state
  // Uniform in [low, high), from the lower 24 bits of a word each or the lower 53 of two.
  void (*uniform)(float* out, const uint32_t* words, int64_t n, float low, float high);
  void (*uniform_double)(double* out, const uint32_t* words, int64_t n, double low, double high);
  void (*normal)(float* values, int64_t blocks, float mean, float std);  // of blocks of 16 uniform ones, in place
  void (*below)(uint8_t* out, const uint32_t* words, int64_t n, uint64_t threshold);  // 53 bits of two words each
  // The numbers of `in` where the mask is 1, times a factor; the others times 0. Of float32 and float64.
  void (*masked[2])(char* out, const char* in, const uint8_t* mask, int64_t n, double factor);
};

const TwisterTable& twister_table();

}  // namespace flambeau::kernels
