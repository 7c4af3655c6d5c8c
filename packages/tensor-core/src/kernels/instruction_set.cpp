// Gathers one instruction set's kernels into a table.
#include "kernels/table.h"

#define FLAMBEAU_TEXT_(x) #x
#define FLAMBEAU_TEXT(x) FLAMBEAU_TEXT_(x)

namespace flambeau::kernels::FLAMBEAU_ISA {

void fill_unary(Table&);
void fill_binary(Table&);
void fill_cast(Table&);
void fill_reduce(Table&);
void fill_gemm(Table&);
void fill_random(Table&);
void fill_optimizer(Table&);
void fill_windows(Table&);
void fill_direct_convolution(Table&);

Table make_table() {
  Table table{};
  table.name = FLAMBEAU_TEXT(FLAMBEAU_ISA);
  fill_unary(table);
  fill_binary(table);
  fill_cast(table);
  fill_reduce(table);
  fill_gemm(table);
  fill_random(table);
  fill_optimizer(table);
  fill_windows(table);
  fill_direct_convolution(table);
  return table;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
