// Collects the kernels of one instruction set in the tables.
#include "kernels/layers/networks.h"
#include "kernels/narrow_table.h"
#include "kernels/twister_table.h"

#define FLAMBEAU_TEXT_(x) #x
#define FLAMBEAU_TEXT(x) FLAMBEAU_TEXT_(x)

namespace flambeau::kernels::FLAMBEAU_ISA {

#define FAMILY(name) void fill_##name(Table&, NarrowTable&);
#define SCALAR_FAMILY(name)
#include "flambeau/families.def"
void fill_cast(Table&, NarrowTable&);
void fill_indices(Table&);
void fill_reduce(Table&);
void fill_positions(Table&);
void fill_short_order(Table&);
void fill_softmax(Table&);
void fill_cumulative(Table&);
void fill_running_extremes(Table&, NarrowTable&);
void fill_gemm(Table&);
void fill_complex_dot(Table&);
void fill_shifted_products(Table&);
void fill_integer_gemm(Table&);
void fill_random(Table&);
void fill_optimizer(Table&);
void fill_windows(Table&);
void fill_direct_convolution(Table&);
void fill_factorization(Table&);
void fill_jacobi(Table&);
void fill_fourier(Table&);
void fill_twister(TwisterTable&);
void fill_distances(NetworkTable&);
void fill_pools(NetworkTable&);
void fill_recurrent(NetworkTable&);
void fill_resample(NetworkTable&);
void fill_normalize(NetworkTable&);
void fill_normalize_short(NetworkTable&);
void fill_attention(NetworkTable&);
void fill_grid_sample(NetworkTable&);
void fill_cross_entropy(NetworkTable&);
void fill_winograd(NetworkTable&);
void fill_depthwise_convolution(NetworkTable&);
void fill_finished_products(NetworkTable&);

const NetworkTable* network_table() {
  static const NetworkTable table = [] {
    NetworkTable t{};
    fill_distances(t);
    fill_pools(t);
    fill_recurrent(t);
    fill_resample(t);
    fill_normalize(t);
    fill_normalize_short(t);
    fill_attention(t);
    fill_grid_sample(t);
    fill_cross_entropy(t);
    fill_winograd(t);
    fill_depthwise_convolution(t);
    fill_finished_products(t);
    return t;
  }();
  return &table;
}

Table make_table(NarrowTable& narrow, TwisterTable& twister) {
  Table table{};
  table.name = FLAMBEAU_TEXT(FLAMBEAU_ISA);
#define FAMILY(name) fill_##name(table, narrow);
#define SCALAR_FAMILY(name)
#include "flambeau/families.def"
  fill_cast(table, narrow);
  fill_indices(table);
  fill_reduce(table);
  fill_positions(table);
  fill_short_order(table);
  fill_softmax(table);
  fill_cumulative(table);
  fill_running_extremes(table, narrow);
  fill_gemm(table);
  fill_complex_dot(table);
  fill_shifted_products(table);
  fill_integer_gemm(table);
  fill_random(table);
  fill_optimizer(table);
  fill_windows(table);
  fill_direct_convolution(table);
  fill_factorization(table);
  fill_jacobi(table);
  table.networks = network_table();
  fill_fourier(table);
  fill_twister(twister);
  return table;
}

}  // namespace flambeau::kernels::FLAMBEAU_ISA
