// The one thread pool of the process. It survives fork, and nested calls run in the calling thread.
#pragma once

#include <cstdint>
#include <type_traits>

#include "flambeau/macros.h"

namespace flambeau {

FLAMBEAU_API int num_threads();
FLAMBEAU_API void set_num_threads(int n);

namespace detail {
FLAMBEAU_API void run_parallel(int64_t tasks, void (*call)(void*, int64_t), void* context);
FLAMBEAU_API bool in_parallel_region();
}  // namespace detail

// Runs task(i) for every i in [0, tasks), on several threads where that helps.
template <class F>
void parallel_tasks(int64_t tasks, F&& task) {
  if (tasks <= 1 || detail::in_parallel_region()) {
    for (int64_t i = 0; i < tasks; ++i) task(i);
    return;
  }
  detail::run_parallel(
      tasks, [](void* context, int64_t i) { (*static_cast<std::remove_reference_t<F>*>(context))(i); },
      const_cast<void*>(static_cast<const void*>(&task)));
}

namespace detail {
template <class F>
void parallel_ranges(int64_t n, int64_t grain, int64_t multiple, F&& body) {
  int64_t parts = (n + grain - 1) / (grain > 0 ? grain : 1);
  const int64_t threads = n > grain ? num_threads() : 1;
  if (parts > threads) parts = threads;
  if (parts <= 1) {
    if (n > 0) body(int64_t(0), n);
    return;
  }
  const int64_t step = ((n + parts - 1) / parts + multiple - 1) / multiple * multiple;
  parallel_tasks((n + step - 1) / step, [&](int64_t i) { body(i * step, i * step + step < n ? i * step + step : n); });
}
}  // namespace detail

// Splits [0, n) into at most one contiguous range per thread, none shorter than `grain`, and runs body(begin, end).
// Only for work whose result does not depend on where the range is cut. Ranges of elements begin at multiples of 64.
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& body) {
  detail::parallel_ranges(n, grain, 64, body);
}

// The same for few, large items.
template <class F>
void parallel_items(int64_t n, int64_t grain, F&& body) {
  detail::parallel_ranges(n, grain, 1, body);
}

}  // namespace flambeau
