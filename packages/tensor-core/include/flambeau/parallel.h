// The only thread pool of the process. It survives fork, and nested calls run in the calling thread.
#pragma once

#include <cstdint>
#include <type_traits>

#include "flambeau/macros.h"

namespace flambeau {

FLAMBEAU_API int num_threads();
FLAMBEAU_API void set_num_threads(int n);

namespace detail {
// Calls task(context, i) for every i in [0, tasks).
FLAMBEAU_API void run_parallel(int64_t tasks, void (*task)(void*, int64_t), void* context);
// Calls range(context, begin, end) for ranges that cover [0, n) and begin at multiples of `multiple`.
FLAMBEAU_API void run_ranges(int64_t n, int64_t grain, int64_t multiple, void (*range)(void*, int64_t, int64_t),
                             void* context);
FLAMBEAU_API bool in_parallel_region();

// These functions call a function object through a pointer, because the pool does not know the object's type. They are
// not inlined: separate copies of the body for this thread and for the pool would make the library 3 % larger.
template <class F>
[[gnu::noinline]] void run_range(void* context, int64_t begin, int64_t end) {
  (*static_cast<F*>(context))(begin, end);
}
template <class F>
[[gnu::noinline]] void run_task(void* context, int64_t i) {
  (*static_cast<F*>(context))(i);
}
template <class F>
void* context_of(F& function) {
  return const_cast<void*>(static_cast<const void*>(&function));
}

template <class F>
void parallel_ranges(int64_t n, int64_t grain, int64_t multiple, F&& body) {
  if (n <= 0) return;
  using Function = std::remove_reference_t<F>;
  // With a grain of 1, a single item may be enough work for the pool.
  if ((n <= grain && grain > 1) || in_parallel_region()) return run_range<Function>(context_of(body), 0, n);
  run_ranges(n, grain, multiple, &run_range<Function>, context_of(body));
}
}  // namespace detail

// Runs task(i) for every i in [0, tasks), on several threads if this is faster. Several tasks run without the GIL, and
// signals are handled between them (Note [Releasing the GIL]), so a task should take less than 50 milliseconds.
template <class F>
void parallel_tasks(int64_t tasks, F&& task) {
  using Function = std::remove_reference_t<F>;
  if (tasks > 1 && !detail::in_parallel_region())
    return detail::run_parallel(tasks, &detail::run_task<Function>, detail::context_of(task));
  for (int64_t i = 0; i < tasks; ++i) detail::run_task<Function>(detail::context_of(task), i);
}

// Divides [0, n) into contiguous ranges, at least one per thread unless they would be shorter than `grain`, and runs
// body(begin, end). Use it only for work whose result does not depend on the division. A grain is a few microseconds of
// work. Work of more than one grain runs without the GIL, and signals are handled between ranges of at most 64 grains.
// Ranges of elements begin at multiples of 64.
template <class F>
void parallel_for(int64_t n, int64_t grain, F&& body) {
  detail::parallel_ranges(n, grain, 64, body);
}

// Like parallel_for, for a few large items: ranges may begin at any item.
template <class F>
void parallel_items(int64_t n, int64_t grain, F&& body) {
  detail::parallel_ranges(n, grain, 1, body);
}

}  // namespace flambeau
