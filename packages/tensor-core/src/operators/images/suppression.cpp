// Non-maximum suppression of boxes.
#include <numeric>

#include "flambeau/interpreter.h"
#include "flambeau/operator.h"
#include "flambeau/operators/networks.h"
#include "flambeau/operators/sorting.h"

namespace flambeau {

namespace {

// The coordinates of the boxes in processing order. Separate arrays permit the use of vector instructions.
struct Corners {
  explicit Corners(size_t n) : x1(n), y1(n), x2(n), y2(n), area(n), group(n) {}
  std::vector<double> x1, y1, x2, y2, area;
  std::vector<int64_t> group;
};

// Marks boxes in `gone`: those that follow box `i` in its group and whose overlap with box `i` exceeds the threshold.
void suppress(const Corners& c, size_t i, double threshold, std::vector<uint8_t>& gone) {
  const double x1 = c.x1[i], y1 = c.y1[i], x2 = c.x2[i], y2 = c.y2[i], area = c.area[i];
  for (size_t j = i + 1; j < gone.size(); ++j) {
    const double width = std::max(std::min(x2, c.x2[j]) - std::max(x1, c.x1[j]), 0.0);
    const double height = std::max(std::min(y2, c.y2[j]) - std::max(y1, c.y1[j]), 0.0);
    const double shared = width * height;
    gone[j] |= (shared > threshold * (area + c.area[j] - shared)) & (c.group[j] == c.group[i]);
  }
}

}  // namespace

Tensor suppress_boxes(const Tensor& boxes, const Tensor& scores, double threshold, const Tensor& groups) {
  require<ValueError>(boxes.dim() == 2 && boxes.size(1) == 4, "boxes should be (N, 4), got shape ", boxes.shape());
  require<ValueError>(scores.dim() == 1 && scores.size(0) == boxes.size(0), "scores should be (", boxes.size(0),
                      "), one for each box; got shape ", scores.shape());
  require<ValueError>(!groups || (groups.dim() == 1 && groups.size(0) == boxes.size(0)), "idxs should be (",
                      boxes.size(0), "), one for each box; got shape ", groups ? groups.shape() : Shape());
  require<NotImplementedError>(
      !boxes.is_meta(),
      "nms is not supported on the meta device, because the number of boxes that are kept depends on their values");
  NoRecording off;
  const Tensor coordinates = contiguous(to(boxes, Dtype::float64));
  const Tensor order = contiguous(argsort(scores, 0, true));
  const Tensor group_of = groups ? contiguous(to(groups, Dtype::int64)) : Tensor();
  const double* const from = coordinates.data<double>();
  const int64_t* const sorted_order = order.data<int64_t>();
  const size_t n = size_t(boxes.size(0));
  Corners corners(n);
  for (size_t i = 0; i < n; ++i) {
    const double* const box = from + 4 * sorted_order[i];
    corners.x1[i] = box[0], corners.y1[i] = box[1], corners.x2[i] = box[2], corners.y2[i] = box[3];
    if (group_of) corners.group[i] = group_of.data<int64_t>()[sorted_order[i]];
    corners.area[i] = (box[2] - box[0]) * (box[3] - box[1]);
  }
  std::vector<uint8_t> gone(n);
  std::vector<int64_t> kept;
  {
    const GilRelease release(int64_t(n * n) > kGilGrain);
    for (size_t i = 0; i < n; ++i) {
      if (gone[i]) continue;
      poll_signals();
      kept.push_back(sorted_order[i]);
      suppress(corners, i, threshold, gone);
    }
  }
  const Tensor out = empty({int64_t(kept.size())}, Dtype::int64);
  std::copy(kept.begin(), kept.end(), out.data<int64_t>());
  return out;
}

const Operator _nms_operator(
    {.signature = "_nms(boxes, scores, iou_threshold, groups=None)",
     .forms = kPrivate,
     .doc = R"(Return the indices of the boxes (N, 4) that non-maximum suppression keeps in each group. No gradient.)",
     .forward = suppress_boxes});

}  // namespace flambeau
