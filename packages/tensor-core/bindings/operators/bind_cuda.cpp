// The functions behind flambeau.cuda.
#include <map>

#include "calls/bind.h"
#include "flambeau/cuda.h"
#include "flambeau/cuda/collectives.h"
#include "flambeau/cuda/installation.h"
#include "flambeau/cuda/tf32.h"

namespace flambeau::python {

namespace {

void bind_gpus() {
  def("_cuda_device_count()", kPrivate, "Return the number of available GPUs.",
      [] { return int64_t(cuda::device_count()); });
  def("_cuda_obstacle()", kPrivate, "Return the reason why no GPU is available, or an empty string.",
      [] { return PyUnicode_FromString(cuda::obstacle().c_str()); });
  def("_cuda_current_device()", kPrivate, "Return the current GPU of this thread.",
      [] { return int64_t(cuda::current_device()); });
  def("_cuda_set_device(device)", kPrivate, "Set the current GPU of this thread.",
      [](int64_t device) { cuda::set_device(int(device)); });
  def("_cuda_properties(device)", kPrivate, "Return the properties of a GPU as a dictionary.", [](int64_t device) {
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

void bind_installation() {
  def("_cuda_driver_version()", kPrivate, "Return the CUDA version of the driver: 13010 is CUDA 13.1.",
      [] { return int64_t(cuda::driver_version()); });
  def("_cuda_compiler_version()", kPrivate, "Return the version of NVRTC as two numbers.", [] {
    const auto [major, minor] = cuda::compiler_version();
    return checked(Py_BuildValue("ii", major, minor));
  });
  def("_cuda_architectures()", kPrivate, "Return the architectures that NVRTC supports: 75 is sm_75.", [] {
    Object out(checked(PyList_New(0)));
    for (const int each : cuda::architectures()) {
      const Object number(checked(PyLong_FromLong(each)));
      if (PyList_Append(out.get(), number.get()) < 0) throw PythonError();
    }
    return out.release();
  });
  def("_cuda_cublaslt_version()", kPrivate,
      "Return the version of cuBLASLt: 130100 is 13.1.0. Return 0 if it is not installed.",
      [] { return cuda::cublaslt_version(); });
  def("_cuda_cudnn_version()", kPrivate, "Return the version of cuDNN: 92800 is 9.28. Return 0 if it is not installed.",
      [] { return cuda::cudnn_version(); });
  def("_cuda_enable_cudnn(enabled)", kPrivate, "Enable or disable cuDNN.",
      [](bool enabled) { cuda::enable_cudnn(enabled); });
  def("_cuda_cache_folder()", kPrivate, "Return the folder of compiled kernels, or an empty string without a folder.",
      [] { return PyUnicode_FromString(cuda::cache_folder().c_str()); });
}

void bind_work() {
  def("_cuda_synchronize(device)", kPrivate,
      "Wait for all work of a GPU, and raise the errors that its kernels reported.",
      [](int64_t device) { cuda::synchronize(int(device)); });
  def("_cuda_allow_tf32(allowed)", kPrivate,
      "Allow or forbid matrix products of float32 to round their operands to TF32.",
      [](bool allowed) { cuda::allow_tf32(allowed); });
  def("_cuda_host_calls()", kPrivate,
      "Return the number of calls of each operator that ran on the CPU for tensors on a GPU.", [] {
        Object out(checked(PyDict_New()));
        for (const auto& [name, count] : cuda::host_calls()) {
          const Object number(checked(PyLong_FromLongLong(count)));
          if (PyDict_SetItemString(out.get(), name.c_str(), number.get()) < 0) throw PythonError();
        }
        return out.release();
      });
  def("_cuda_forget_host_calls()", kPrivate, "Reset the counts of _cuda_host_calls().",
      [] { cuda::forget_host_calls(); });
}

template <class Handle>
Handle* handle(int64_t number) {
  return reinterpret_cast<Handle*>(number);
}
template <class Handle>
int64_t number_of(Handle* handle) {
  return reinterpret_cast<int64_t>(handle);
}
using Stream = cuda::StreamHandle;
using Event = cuda::EventHandle;
using Graph = cuda::Graph;

// Python represents streams, events and graphs by integers. The stream 0 is the default stream.
void bind_streams() {
  def("_cuda_create_stream(device, priority)", kPrivate, "Create a stream.",
      [](int64_t device, int64_t priority) { return number_of(cuda::create_stream(int(device), int(priority))); });
  def("_cuda_destroy_stream(device, stream)", kPrivate, "Destroy a stream.",
      [](int64_t device, int64_t stream) { cuda::destroy_stream(int(device), handle<Stream>(stream)); });
  def("_cuda_current_stream(device)", kPrivate, "Return the current stream of this thread.",
      [](int64_t device) { return number_of(cuda::current_stream(int(device))); });
  def("_cuda_set_stream(device, stream)", kPrivate, "Set the current stream of this thread.",
      [](int64_t device, int64_t stream) { cuda::set_stream(int(device), handle<Stream>(stream)); });
  def("_cuda_query_stream(device, stream)", kPrivate, "Return True if all work of the stream has finished.",
      [](int64_t device, int64_t stream) { return cuda::query_stream(int(device), handle<Stream>(stream)); });
  def("_cuda_synchronize_stream(device, stream)", kPrivate,
      "Wait for the stream, and raise the errors that its kernels reported.",
      [](int64_t device, int64_t stream) { cuda::synchronize(int(device), handle<Stream>(stream)); });
  def("_cuda_record_stream(input, device, stream)", kPrivate, "Mark the memory of the tensor as used by the stream.",
      [](const Tensor& t, int64_t device, int64_t stream) {
        cuda::record_stream(t.storage(), int(device), handle<Stream>(stream));
      });
}

void bind_events() {
  def("_cuda_create_event(device, timing)", kPrivate, "Create an event.",
      [](int64_t device, bool timing) { return number_of(cuda::create_event(int(device), timing)); });
  def("_cuda_destroy_event(device, event)", kPrivate, "Destroy an event.",
      [](int64_t device, int64_t event) { cuda::destroy_event(int(device), handle<Event>(event)); });
  def("_cuda_record_event(device, event, stream)", kPrivate, "Record the event after the current work of the stream.",
      [](int64_t device, int64_t event, int64_t stream) {
        cuda::record_event(int(device), handle<Event>(event), handle<Stream>(stream));
      });
  def("_cuda_query_event(device, event)", kPrivate, "Return True if the stream has reached the event.",
      [](int64_t device, int64_t event) { return cuda::query_event(int(device), handle<Event>(event)); });
  def("_cuda_synchronize_event(device, event)", kPrivate, "Wait until the stream has reached the event.",
      [](int64_t device, int64_t event) { cuda::synchronize_event(int(device), handle<Event>(event)); });
  def("_cuda_wait_event(device, stream, event)", kPrivate, "Make a stream wait for the event.",
      [](int64_t device, int64_t stream, int64_t event) {
        cuda::wait_event(int(device), handle<Stream>(stream), handle<Event>(event));
      });
  def("_cuda_elapsed_time(device, first, second)", kPrivate, "Return the time between two events in milliseconds.",
      [](int64_t device, int64_t first, int64_t second) {
        return double(cuda::elapsed_milliseconds(int(device), handle<Event>(first), handle<Event>(second)));
      });
}

void bind_graphs() {
  def("_cuda_begin_capture(device, stream)", kPrivate, "Start to capture the work of the stream, and return the graph.",
      [](int64_t device, int64_t stream) {
        return number_of(cuda::begin_capture(int(device), handle<Stream>(stream)));
      });
  def("_cuda_register_generator(graph, generator)", kPrivate, "Register a generator that the captured work uses.",
      [](int64_t graph, Generator* generator) { cuda::register_generator(handle<Graph>(graph), generator); });
  def("_cuda_end_capture(graph)", kPrivate, "End the capture, and instantiate the graph for replays.",
      [](int64_t graph) { cuda::end_capture(handle<Graph>(graph)); });
  def("_cuda_launch_graph(graph)", kPrivate, "Launch the graph on the current stream.",
      [](int64_t graph) { cuda::launch_graph(handle<Graph>(graph)); });
  def("_cuda_destroy_graph(graph)", kPrivate, "Destroy the graph and free its memory.",
      [](int64_t graph) { cuda::destroy_graph(handle<Graph>(graph)); });
  def("_cuda_is_capturing(device, stream)", kPrivate, "Return True if the stream is being captured.",
      [](int64_t device, int64_t stream) { return cuda::is_capturing(int(device), handle<Stream>(stream)); });
}

cuda::Collective collective_named(std::string_view name) {
  using cuda::Collective;
  static const std::map<std::string_view, Collective> known{{"all_reduce", Collective::AllReduce},
                                                            {"reduce", Collective::Reduce},
                                                            {"broadcast", Collective::Broadcast},
                                                            {"all_gather", Collective::AllGather},
                                                            {"reduce_scatter", Collective::ReduceScatter}};
  return known.at(name);
}

// Python represents communicators by integers.
void bind_collectives() {
  def("_cuda_nccl_version()", kPrivate, "Return the version of NCCL: 22703 is 2.27.3. Return 0 if it is not installed.",
      [] { return int64_t(cuda::nccl_version()); });
  def("_cuda_nccl_identity()", kPrivate, "Return the identity of a new communicator as bytes.", [] {
    const std::string made = cuda::make_communicator_identity();
    return checked(PyBytes_FromStringAndSize(made.data(), Py_ssize_t(made.size())));
  });
  def("_cuda_nccl_join(device, identity, ranks, rank)", kPrivate, "Create the communicator of a rank.",
      [](int64_t device, PyObject* identity, int64_t ranks, int64_t rank) {
        require<TypeError>(PyBytes_Check(identity),
                           "the identity of an NCCL communicator must be the bytes that unique_id() returns");
        const std::string name(PyBytes_AS_STRING(identity), size_t(PyBytes_GET_SIZE(identity)));
        return number_of(cuda::create_communicator(int(device), name, int(ranks), int(rank)));
      });
  def("_cuda_nccl_leave(device, communicator)", kPrivate, "Destroy a communicator.",
      [](int64_t device, int64_t communicator) {
        cuda::destroy_communicator(int(device), handle<cuda::CommunicatorHandle>(communicator));
      });
  def("_cuda_nccl_communicators(devices)", kPrivate, "Return the communicators of these GPUs.",
      [](const Shape& devices) {
        Shape out;
        for (cuda::CommunicatorHandle* each : cuda::communicators({devices.begin(), devices.end()}))
          out.push_back(number_of(each));
        return out;
      });
  def("_cuda_nccl_collect(collective, reduction, root, inputs, outputs, streams, communicators)", kPrivate | kAnyDevice,
      "Run a collective with one rank for each input.",
      [](std::string_view name, int64_t reduction, int64_t root, const Tensors& inputs, const Tensors& outputs,
         const Shape& streams, const Shape& communicators) {
        std::vector<cuda::Participant> participants;
        for (size_t i = 0; i < inputs.size(); ++i)
          participants.push_back(
              {handle<cuda::CommunicatorHandle>(communicators[i]), handle<Stream>(streams[i]), inputs[i], outputs[i]});
        for (const Tensor& t : outputs) begin_inplace(t, "a collective operation", false);
        cuda::collect(collective_named(name), int(reduction), int(root), participants);
      });
  def("_cuda_nccl_exchange(sent, to, received, source, stream, communicator)", kPrivate | kAnyDevice,
      "Send tensors to ranks, and receive tensors from ranks.",
      [](const Tensors& sent, const Shape& to, const Tensors& received, const Shape& source, int64_t stream,
         int64_t communicator) {
        std::vector<cuda::Message> messages;
        for (size_t i = 0; i < sent.size(); ++i) messages.push_back({sent[i], int(to[i]), true});
        for (size_t i = 0; i < received.size(); ++i) messages.push_back({received[i], int(source[i]), false});
        for (const Tensor& t : received) begin_inplace(t, "a message", false);
        cuda::exchange(handle<cuda::CommunicatorHandle>(communicator), handle<Stream>(stream), messages);
      });
}

}  // namespace

Tensor pinned(const Tensor& t) {
  require(t.device() == DeviceType::Cpu, "cannot pin '", t.device(), "': only CPU memory can be pinned");
  const NoRecording off;
  const GilRelease release;
  const Shape strides = strides_like(t, MemoryFormat::Preserve);
  const size_t bytes = size_t(t.numel() * item_size(t.dtype()));
  const Tensor made = from_storage(cuda::pinned_storage(bytes), t.shape(), strides, 0, t.dtype());
  copy_values(made, t);
  return made;
}

namespace {

void bind_pinned() {
  def("_cuda_pin_memory(input)", kPrivate,
      "Return a copy of the tensor in pinned memory, or the tensor itself if its memory is pinned.",
      [](Self self) -> PyObject* {
        const Tensor& t = tensor_of(self);
        if (cuda::is_pinned(t.storage())) return Py_NewRef(self);
        return wrap_tensor(pinned(t));
      });
  def("_cuda_is_pinned(input)", kPrivate, "Return True if the memory of the tensor is pinned.",
      [](const Tensor& t) { return cuda::is_pinned(t.storage()); });
}

void bind_memory() {
  def("_cuda_memory_statistics(device)", kPrivate, "Return the statistics of the allocator as a dictionary.",
      [](int64_t device) {
        const cuda::MemoryStatistics s = cuda::memory_statistics(int(device));
        return checked(Py_BuildValue("{s:n,s:n,s:n,s:n,s:n,s:L,s:L,s:L,s:L,s:L}", "allocated", Py_ssize_t(s.allocated),
                                     "reserved", Py_ssize_t(s.reserved), "peak_allocated", Py_ssize_t(s.peak_allocated),
                                     "peak_reserved", Py_ssize_t(s.peak_reserved), "largest_free",
                                     Py_ssize_t(s.largest_free), "allocations", s.allocations, "frees", s.frees,
                                     "segments", s.segments, "retries", s.retries, "out_of_memory", s.out_of_memory));
      });
  def("_cuda_reset_peak_memory(device)", kPrivate, "Reset the peak memory use.",
      [](int64_t device) { cuda::reset_peak_memory(int(device)); });
  def("_cuda_empty_cache()", kPrivate, "Free the cached memory that is not in use.",
      [] { cuda::release_cached_memory(); });
  def("_cuda_memory_fraction(device)", kPrivate, "Return the fraction of the memory of a GPU that the process may use.",
      [](int64_t device) { return cuda::memory_fraction(int(device)); });
  def("_cuda_set_memory_fraction(device, fraction)", kPrivate,
      "Limit the fraction of the memory of a GPU that the process may use.",
      [](int64_t device, double fraction) { cuda::set_memory_fraction(int(device), fraction); });
  def("_cuda_memory_info(device)", kPrivate, "Return the free and the total memory of a GPU.", [](int64_t device) {
    const auto [free, total] = cuda::free_and_total_memory(int(device));
    return checked(Py_BuildValue("nn", Py_ssize_t(free), Py_ssize_t(total)));
  });
}

}  // namespace

void bind_cuda() {
  bind_gpus();
  bind_installation();
  bind_work();
  bind_streams();
  bind_events();
  bind_graphs();
  bind_collectives();
  bind_pinned();
  bind_memory();
}

PyObject* out_of_memory_error() {
  static PyObject* const type = checked(PyErr_NewExceptionWithDoc(
      "flambeau.OutOfMemoryError", "Error for an allocation that exceeds the free memory of a GPU.", PyExc_RuntimeError,
      nullptr));
  return type;
}

}  // namespace flambeau::python
