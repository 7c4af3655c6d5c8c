// What flambeau.cuda is made of.
#include "bind.h"
#include "flambeau/cuda.h"

namespace flambeau::python {

namespace {

void bind_gpus() {
  def("_cuda_device_count()", kPrivate, "The number of GPUs that can be used.",
      [] { return int64_t(cuda::device_count()); });
  def("_cuda_obstacle()", kPrivate, "Why there is no GPU, in a sentence; empty where there is one.",
      [] { return PyUnicode_FromString(cuda::obstacle().c_str()); });
  def("_cuda_current_device()", kPrivate, "This thread's GPU.", [] { return int64_t(cuda::current_device()); });
  def("_cuda_set_device(device)", kPrivate, "Chooses this thread's GPU.",
      [](int64_t device) { cuda::set_device(int(device)); });
  def("_cuda_properties(device)", kPrivate, "What is known of a GPU, as a dictionary.", [](int64_t device) {
    const cuda::Properties& p = cuda::properties(int(device));
    return checked(Py_BuildValue("{s:s,s:n,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:i,s:y#}", "name", p.name.c_str(),
                                 "total_memory", Py_ssize_t(p.total_memory), "major", p.major, "minor", p.minor,
                                 "multi_processor_count", p.multiprocessors, "max_threads_per_multi_processor",
                                 p.threads_per_multiprocessor, "shared_memory_per_block", p.shared_memory_per_block,
                                 "L2_cache_size", p.l2_cache, "warp_size", p.warp_size, "regs_per_multiprocessor",
                                 p.registers_per_multiprocessor, "is_integrated", p.integrated, "uuid",
                                 reinterpret_cast<const char*>(p.uuid.data()), Py_ssize_t(p.uuid.size())));
  });
}

void bind_work() {
  def("_cuda_synchronize(device)", kPrivate, "Waits for a GPU, then raises what its kernels have reported.",
      [](int64_t device) { cuda::synchronize(int(device)); });
  def("_cuda_host_calls()", kPrivate, "How often operators have gone over to the host, by name.", [] {
    Object out(checked(PyDict_New()));
    for (const auto& [name, count] : cuda::host_calls()) {
      const Object number(checked(PyLong_FromLongLong(count)));
      if (PyDict_SetItemString(out.get(), name.c_str(), number.get()) < 0) throw PythonError();
    }
    return out.release();
  });
  def("_cuda_forget_host_calls()", kPrivate, "Sets these counts to zero.", [] { cuda::forget_host_calls(); });
}

void bind_memory() {
  def("_cuda_memory_statistics(device)", kPrivate, "What the allocator counts, as a dictionary.", [](int64_t device) {
    const cuda::MemoryStatistics s = cuda::memory_statistics(int(device));
    return checked(Py_BuildValue("{s:n,s:n,s:n,s:n,s:n,s:L,s:L,s:L,s:L,s:L}", "allocated", Py_ssize_t(s.allocated),
                                 "reserved", Py_ssize_t(s.reserved), "peak_allocated", Py_ssize_t(s.peak_allocated),
                                 "peak_reserved", Py_ssize_t(s.peak_reserved), "largest_free",
                                 Py_ssize_t(s.largest_free), "allocations", s.allocations, "frees", s.frees, "segments",
                                 s.segments, "retries", s.retries, "out_of_memory", s.out_of_memory));
  });
  def("_cuda_reset_peak_memory(device)", kPrivate, "Forgets the largest use so far.",
      [](int64_t device) { cuda::reset_peak_memory(int(device)); });
  def("_cuda_empty_cache()", kPrivate, "Gives back what is reserved and not in use.",
      [] { cuda::release_cached_memory(); });
  def("_cuda_memory_info(device)", kPrivate, "Free and total memory of a GPU.", [](int64_t device) {
    const auto [free, total] = cuda::free_and_total_memory(int(device));
    return checked(Py_BuildValue("nn", Py_ssize_t(free), Py_ssize_t(total)));
  });
}

}  // namespace

void bind_cuda() {
  bind_gpus();
  bind_work();
  bind_memory();
}

PyObject* out_of_memory_error() {
  static PyObject* const type = checked(PyErr_NewExceptionWithDoc(
      "flambeau.OutOfMemoryError", "The memory of a GPU does not suffice.", PyExc_RuntimeError, nullptr));
  return type;
}

}  // namespace flambeau::python
