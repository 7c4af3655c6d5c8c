// Distances between vectors, and what is scaled by lengths.
#include "bind.h"
#include "flambeau/distances.h"

namespace flambeau::python {

namespace {

Euclidean way_of(std::string_view mode) {
  if (mode == "use_mm_for_euclid_dist_if_necessary") return Euclidean::ByProductIfLarge;
  if (mode == "use_mm_for_euclid_dist") return Euclidean::ByProduct;
  require<ValueError>(mode == "donot_use_mm_for_euclid_dist", mode,
                      " is not a valid value for compute_mode; expected use_mm_for_euclid_dist_if_necessary, "
                      "use_mm_for_euclid_dist, donot_use_mm_for_euclid_dist");
  return Euclidean::ByDifferences;
}

}  // namespace

void bind_distances() {
  def("cdist(x1, x2, p=2.0, compute_mode='use_mm_for_euclid_dist_if_necessary')", kFunction | kFloat32,
      R"(The p-norm distances between the rows of x1 (..., n, m) and those of x2 (..., k, m): (..., n, k).

Args:
    x1, x2: floating, of one dtype; leading dimensions are broadcast.
    p: 0 (how many coordinates differ) to inf.
    compute_mode: whether Euclidean distances come from a matrix product, which is quicker and less exact:
        use_mm_for_euclid_dist_if_necessary (beyond 25 rows), use_mm_for_euclid_dist, donot_use_mm_for_euclid_dist.
Raises: RuntimeError for other dimensions, dtypes or a negative p; ValueError for another mode.
Gradient: both, any order; 0 where the distance is 0.

>>> flambeau.cdist(flambeau.tensor([[0.0, 0.0]]), flambeau.tensor([[3.0, 4.0], [0.0, 1.0]]))
tensor([[5., 1.]]))",
      [](const Tensor& a, const Tensor& b, double p, std::optional<std::string_view> mode) {
        return cdist(a, b, p, mode ? way_of(*mode) : Euclidean::ByProductIfLarge);
      });
}

}  // namespace flambeau::python
