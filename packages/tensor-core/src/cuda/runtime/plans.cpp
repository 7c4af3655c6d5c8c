#include "cuda/runtime/plans.h"

#include <algorithm>
#include <bit>

#include "device/reductions/reduce_arguments.h"
#include "device/reductions/scan_arguments.h"

namespace flambeau::cuda {

namespace {

constexpr int64_t kBlocks = 1024;     // number of blocks that keep every GPU busy
constexpr int64_t kShortPacks = 128;  // some lanes of a warp reduce a row of at most this many packs of 16 bytes
constexpr int64_t kPartPacks = 2048;  // minimum number of packs in a part of a row
// For reductions of columns: the number of blocks, which is large so that the blocks end at about the same time; the
// minimum number of rows for each slot; and the number of rows that a slot loads at a time.
constexpr int64_t kColumnBlocks = 8192, kPartRows = 16, kLoadedRows = 4;
constexpr int64_t kJoinedStates = 16;  // a thread combines at most about this many states

int64_t power_of_two(int64_t n) { return int64_t(std::bit_ceil(uint64_t(std::max<int64_t>(n, 1)))); }

// Divides a length into at most `most` parts of equal size, which is a multiple of `unit`; the last part may be
// smaller.
void divide_length(ReducePlan& plan, int64_t length, int64_t most, int64_t unit) {
  const int64_t parts = std::clamp<int64_t>(most, 1, std::max<int64_t>(1, divide_up(length, unit)));
  plan.part = std::max<int64_t>(1, divide_up(divide_up(length, parts), unit)) * unit;
  plan.parts = std::max<int64_t>(1, divide_up(length, plan.part));
}

// `held`: number of packs that a thread can keep in registers, or 0 if lines may be divided.
ReducePlan plan_for(const Step& s, int64_t item_size, int64_t held) {
  const bool whole = held > 0;
  const int64_t width = std::max<int64_t>(1, 16 / item_size);
  ReducePlan plan{ReducePlan::kShortRows, 1, 1, std::max<int64_t>(s.length, 1), 1, {}};
  if (s.inner == 1) {
    const int64_t packs = divide_up(s.length, width);
    if (packs <= (whole ? 32 * held : kShortPacks)) {
      plan.lanes = int(std::min<int64_t>(32, power_of_two(divide_up(packs, 2))));
      plan.grid = {unsigned(divide_up(s.outer, kReduceThreads / plan.lanes))};
      return plan;
    }
    if (packs <= kMaxHeldThreads * held) {
      plan.kernel = ReducePlan::kHeldRows;
      plan.lanes = int(divide_up(divide_up(packs, held), 32) * 32);
      plan.grid = {unsigned(s.outer)};
      return plan;
    }
    plan.kernel = ReducePlan::kLongRows;
    plan.lanes = kReduceThreads;
    divide_length(plan, s.length, whole ? 1 : std::min(divide_up(kBlocks, s.outer), packs / kPartPacks),
                  width * kReduceThreads);
    plan.grid = {unsigned(s.outer), unsigned(plan.parts)};
    return plan;
  }
  const int64_t count = s.inner % std::min<int64_t>(width, 4) == 0 ? std::min<int64_t>(width, 4) : 1;
  plan.kernel = count > 1 ? ReducePlan::kWideColumns : ReducePlan::kColumns;
  const int64_t most = power_of_two(divide_up(s.length, kPartRows));
  plan.lanes = int(std::min(power_of_two(s.inner / count), kReduceThreads / std::min<int64_t>(8, most)));
  plan.slots = int(std::min(most, kReduceThreads / int64_t(plan.lanes)));
  const int64_t tiles = divide_up(s.inner / count, plan.lanes), rows = plan.slots * kPartRows;
  const int64_t blocks = tiles * divide_up(s.outer, kReduceThreads / (plan.lanes * plan.slots));
  divide_length(plan, s.length, whole ? 1 : std::min(divide_up(kColumnBlocks, blocks), s.length / rows),
                plan.slots * kLoadedRows);
  plan.grid = {unsigned(blocks), unsigned(plan.parts)};
  return plan;
}

}  // namespace

ReducePlan plan_of(const Step& s, int64_t item_size) { return plan_for(s, item_size, 0); }
ReducePlan plan_of_lines(const Step& s, int64_t item_size, int64_t inputs) {
  return plan_for(s, item_size, kHeldPacks / inputs);
}

JoinPlan join_plan_of(const Step& s) {
  const int64_t slots =
      std::clamp<int64_t>(power_of_two(divide_up(s.length, kJoinedStates)), kJoinThreads / 32, kJoinThreads);
  const int64_t lanes = std::min(power_of_two(s.inner), kJoinThreads / slots);
  return {int(lanes), int(kJoinThreads / lanes), {unsigned(s.outer * divide_up(s.inner, lanes))}};
}

ScanPlan scan_plan_of(const Step& s, int64_t item_size, bool in_order) {
  constexpr int64_t kShort = 1024, kLong = 8192;       // longest row for one warp; minimum number of elements in a part
  constexpr int64_t kBlocks = 1024, kLines = 1 << 16;  // numbers of blocks and of lines that keep every GPU busy
  constexpr int64_t kColumnPart = 32, kColumnParts = 64;
  if (s.inner > 1 || in_order) {
    const int64_t lines = s.outer * s.inner;
    const int64_t most = in_order ? 1 : std::min({divide_up(kLines, lines), s.length / kColumnPart, kColumnParts});
    const int64_t part = divide_up(s.length, std::max<int64_t>(most, 1));
    const int64_t parts = divide_up(s.length, part);
    return {ScanPlan::kColumns, part, parts, {unsigned(divide_up(lines, kScanThreads)), unsigned(parts)}};
  }
  if (s.length <= kShort) return {ScanPlan::kShortRows, s.length, 1, {unsigned(divide_up(s.outer, kScanThreads / 32))}};
  const int64_t tile = kScanThreads * std::max<int64_t>(16 / item_size, 1);
  const int64_t most = std::max<int64_t>(std::min(divide_up(kBlocks, s.outer), s.length / kLong), 1);
  const int64_t part = divide_up(divide_up(s.length, most), tile) * tile, parts = divide_up(s.length, part);
  return {ScanPlan::kRows, part, parts, {unsigned(s.outer), unsigned(parts)}};
}

}  // namespace flambeau::cuda
