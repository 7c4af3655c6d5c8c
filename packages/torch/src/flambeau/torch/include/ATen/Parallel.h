// at::parallel_for and at::parallel_reduce, which use flambeau's thread pool.
#pragma once

#include <algorithm>
#include <mutex>
#include <utility>
#include <vector>

#include <flambeau/parallel.h>

namespace at {

namespace internal {
inline constexpr int64_t GRAIN_SIZE = 32768;
}

inline int get_num_threads() { return ::flambeau::num_threads(); }
inline void set_num_threads(int n) { ::flambeau::set_num_threads(n); }
inline bool in_parallel_region() { return ::flambeau::detail::in_parallel_region(); }
inline int64_t divup(int64_t x, int64_t y) { return (x + y - 1) / y; }

// The number of the running thread in the innermost parallel_for. Numbers are less than get_num_threads(), and no two
// running threads have the same number.
namespace detail {
inline thread_local int thread_number = 0;

class ThreadNumbers {
 public:
  explicit ThreadNumbers(int count) {
    while (count > 0) free_.push_back(--count);
  }
  // Assigns a number to the running thread for the duration of a scope.
  class Scope {
   public:
    explicit Scope(ThreadNumbers& numbers) : numbers_(numbers), former_(thread_number) {
      const std::lock_guard lock(numbers_.mutex_);
      thread_number = numbers_.free_.back();
      numbers_.free_.pop_back();
    }
    ~Scope() {
      const std::lock_guard lock(numbers_.mutex_);
      numbers_.free_.push_back(std::exchange(thread_number, former_));
    }
    Scope(const Scope&) = delete;

   private:
    ThreadNumbers& numbers_;
    const int former_;
  };

 private:
  std::mutex mutex_;
  std::vector<int> free_;
};
}  // namespace detail
inline int get_thread_num() { return detail::thread_number; }

// Splits [begin, end) into ranges of at least `grain` indices and calls f(begin, end) for each range, on several
// threads.
template <class F>
void parallel_for(int64_t begin, int64_t end, int64_t grain, const F& f) {
  if (begin >= end) return;
  grain = std::max<int64_t>(grain, 1);
  const int64_t ranges = std::min<int64_t>(get_num_threads(), divup(end - begin, grain));
  if (ranges <= 1 || in_parallel_region()) return f(begin, end);
  const int64_t size = divup(end - begin, ranges);
  detail::ThreadNumbers numbers{get_num_threads()};
  ::flambeau::parallel_tasks(divup(end - begin, size), [&](int64_t i) {
    const detail::ThreadNumbers::Scope scope(numbers);
    f(begin + i * size, std::min(end, begin + (i + 1) * size));
  });
}

// Splits [begin, end) into ranges of `grain` indices, calls f(begin, end, identity) for each on several threads, and
// combines the results with join(a, b) in the order of the ranges.
template <class T, class F, class Join>
T parallel_reduce(int64_t begin, int64_t end, int64_t grain, const T identity, const F& f, const Join& join) {
  if (begin >= end) return identity;
  const int64_t size = std::max<int64_t>(grain, 1), ranges = divup(end - begin, size);
  struct Part {
    T value;
  };
  std::vector<Part> parts(size_t(ranges), Part{identity});
  ::flambeau::parallel_tasks(ranges, [&](int64_t i) {
    parts[size_t(i)].value = f(begin + i * size, std::min(end, begin + (i + 1) * size), identity);
  });
  T result = identity;
  for (const Part& part : parts) result = join(result, part.value);
  return result;
}

}  // namespace at
