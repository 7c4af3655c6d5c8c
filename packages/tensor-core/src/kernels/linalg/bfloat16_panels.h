// Panels of the operands of a matrix product of bfloat16.
#pragma once

#include <cstdint>

#include "flambeau/kernels/simd.h"

namespace flambeau::kernels::FLAMBEAU_ISA {

using Word = uint32_t;  // two consecutive terms of a row of A or of a column of B

inline Word word_of(uint16_t first, uint16_t second) { return first | Word(second) << 16; }

// A matrix whose lines are the rows of A or the columns of B. `line` and `term` are distances in elements.
struct Lines {
  const uint16_t* data;
  int64_t line, term;

  const uint16_t* at(int64_t i, int64_t p) const { return data + i * line + p * term; }
  // True if the elements of each line can be read as aligned 32-bit words of two elements.
  bool has_words() const { return term == 1 && line % 2 == 0 && reinterpret_cast<uintptr_t>(data) % sizeof(Word) == 0; }
};

// Packs the first `terms` elements of `count` lines as words of two elements: to[pair * width + i] becomes the word
// number `pair` of line i. If `terms` is odd, the second element of the last words is 0.
inline void pack(Word* to, int64_t width, const Lines& x, int64_t count, int64_t terms) {
  const int64_t pairs = terms / 2;
  if (x.has_words())
    transpose(to, width, reinterpret_cast<const Word*>(x.data), x.line / 2, count, pairs);
  else
    for (int64_t p = 0; p < pairs; ++p) {
      const uint16_t *first = x.at(0, 2 * p), *second = x.at(0, 2 * p + 1);
      for (int64_t i = 0; i < count; ++i) to[p * width + i] = word_of(first[i * x.line], second[i * x.line]);
    }
  if (terms % 2)
    for (int64_t i = 0; i < count; ++i) to[pairs * width + i] = word_of(*x.at(i, terms - 1), 0);
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
