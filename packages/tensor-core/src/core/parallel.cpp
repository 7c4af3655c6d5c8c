// The thread pool.
#include "flambeau/parallel.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "flambeau/interpreter.h"
#include "kernels/scratch.h"
#include "platform/process.h"
#include "platform/processors.h"

namespace flambeau {

namespace {

thread_local bool in_region = false;

struct Job {
  void (*call)(void*, int64_t);
  void* context;
  int64_t tasks;
  std::atomic<int64_t> next{0};
  std::atomic<int64_t> running{0};     // number of workers that execute this job
  std::atomic<bool> cancelled{false};  // true after an error, such as one that a signal handler raises
  std::exception_ptr error;
  std::mutex error_mutex;

  void work() {
    in_region = true;
    detail::call_state.cancelled = &cancelled;
    try {
      for (int64_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
        poll_signals();
        call(context, i);
      }
    } catch (...) {
      std::lock_guard lock(error_mutex);
      if (!error) error = std::current_exception();
      cancelled = true;
    }
    detail::call_state.cancelled = nullptr;
    in_region = false;
  }
};

// Note [Waiting]: after a job, a worker spins for some tens of microseconds, because the next operator usually follows
// immediately. Then it sleeps.
constexpr int kSpins = 2000;

class Pool {
 public:
  explicit Pool(int workers) {
    try {
      for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { loop(); });
    } catch (const std::system_error&) {  // the system cannot create more threads; the existing threads do the work
    }
  }
  ~Pool() {
    {
      std::lock_guard lock(mutex_);
      stop_ = true;
      epoch_.fetch_add(1);
    }
    wake_.notify_all();
    for (std::thread& t : threads_) t.join();
  }

  void run(Job& job) {
    {
      std::lock_guard lock(mutex_);
      job_ = &job;
      epoch_.fetch_add(1, std::memory_order_release);
    }
    if (sleepers_.load() > 0) wake_.notify_all();
    job.work();
    {
      std::lock_guard lock(mutex_);
      job_ = nullptr;  // from now on, no other worker can start to execute this job
    }
    while (job.running.load(std::memory_order_acquire) > 0) platform::pause();
  }
  int workers() const { return int(threads_.size()); }

 private:
  void loop() {
    uint64_t seen = 0;
    for (;;) {
      for (int i = 0; i < kSpins && epoch_.load(std::memory_order_acquire) == seen; ++i) platform::pause();
      Job* job;
      {
        std::unique_lock lock(mutex_);
        sleepers_.fetch_add(1);
        wake_.wait(lock, [&] { return epoch_.load() != seen; });
        sleepers_.fetch_sub(1);
        if (stop_) return;
        seen = epoch_.load();
        job = job_;
        if (job) job->running.fetch_add(1);
      }
      if (job) {
        job->work();
        kernels::free_large_scratch();
        job->running.fetch_sub(1, std::memory_order_release);
      }
    }
  }

  std::vector<std::thread> threads_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::atomic<uint64_t> epoch_{0};
  std::atomic<int> sleepers_{0};
  Job* job_ = nullptr;
  bool stop_ = false;
};

int initial_threads() {
  if (const char* text = std::getenv("FLAMBEAU_NUM_THREADS"))
    if (const int n = std::atoi(text); n > 0) return n;
  return platform::available_processors();
}

std::atomic<int> threads{0};  // 0 until the environment has been read
Pool* pool = nullptr;         // null until the pool is first used, and in a forked child
std::mutex* pool_mutex = new std::mutex;

// The child process has none of its parent's threads. The parent's pool and mutex are replaced but not destroyed,
// because the parent's threads may have used them at the time of the fork.
void forget_pool_in_child() {
  pool = nullptr;
  pool_mutex = new std::mutex;
  in_region = false;
}

void stop_pool_at_exit() {
  std::lock_guard lock(*pool_mutex);
  delete std::exchange(pool, nullptr);
  threads = 1;
}

}  // namespace

int num_threads() {
  int n = threads.load(std::memory_order_relaxed);
  if (n == 0) threads = n = initial_threads();
  return n;
}

void set_num_threads(int n) {
  const GilRelease release(GilRelease::Wait);  // a thread that runs in the pool may need the GIL
  std::lock_guard lock(*pool_mutex);
  threads = n < 1 ? 1 : n;
  delete std::exchange(pool, nullptr);
}

namespace detail {

bool in_parallel_region() { return in_region; }

void run_parallel(int64_t tasks, void (*task)(void*, int64_t), void* context) {
  const GilRelease release;
  std::unique_lock lock(*pool_mutex, std::defer_lock);
  if (num_threads() == 1 || !lock.try_lock()) {  // if another thread uses the pool, run all tasks in this thread
    for (int64_t i = 0; i < tasks; ++i) {
      poll_signals();
      task(context, i);
    }
    return;
  }
  if (!pool) {
    static const bool registered =
        (platform::after_fork_in_child(forget_pool_in_child), std::atexit(stop_pool_at_exit), true);
    (void)registered;
    pool = new Pool(num_threads() - 1);
  }
  Job job{task, context, tasks, {}, {}, {}, {}, {}};
  pool->run(job);
  kernels::free_large_scratch();
  if (job.error) std::rethrow_exception(job.error);
}

void run_ranges(int64_t n, int64_t grain, int64_t multiple, void (*range)(void*, int64_t, int64_t), void* context) {
  constexpr int64_t kMaxGrains = 64;  // maximum number of grains in a range; signals are handled between ranges
  const GilRelease release;
  const int64_t grains = (n - 1) / std::max<int64_t>(grain, 1) + 1;
  const int64_t ranges = std::max(std::min<int64_t>(grains, num_threads()), (grains - 1) / kMaxGrains + 1);
  struct Ranges {
    void (*range)(void*, int64_t, int64_t);
    void* context;
    int64_t n, step;
  } all{range, context, n, ((n - 1) / ranges / multiple + 1) * multiple};
  const auto run_one = [](void* pointer, int64_t i) {
    const Ranges& r = *static_cast<Ranges*>(pointer);
    r.range(r.context, i * r.step, std::min(r.n, (i + 1) * r.step));
  };
  const int64_t tasks = (n - 1) / all.step + 1;
  tasks > 1 ? run_parallel(tasks, run_one, &all) : run_one(&all, 0);
}

}  // namespace detail

}  // namespace flambeau
