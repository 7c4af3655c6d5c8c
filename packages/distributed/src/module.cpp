// The extension module flambeau.distributed._native.
#include <Python.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <memory>
#include <new>

#include "heartbeat.h"
#include "shared_group.h"

namespace flambeau::distributed {

namespace {

class ReleasedGil {
 public:
  ReleasedGil() : thread_(PyEval_SaveThread()) {}
  ~ReleasedGil() { PyEval_RestoreThread(thread_); }
  ReleasedGil(const ReleasedGil&) = delete;

 private:
  PyThreadState* const thread_;
};

// Calls a function of the module, and converts C++ exceptions, such as the failure to start a thread, to Python's.
template <PyCFunction function>
PyObject* guarded(PyObject* module, PyObject* args) {
  try {
    return function(module, args);
  } catch (const std::bad_alloc&) {
    return PyErr_NoMemory();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_OSError, error.what());
    return nullptr;
  }
}

template <class T>
PyObject* in_capsule(std::unique_ptr<T> object, const char* name, PyCapsule_Destructor end) {
  PyObject* const capsule = PyCapsule_New(object.get(), name, end);
  if (capsule) object.release();
  return capsule;
}

constexpr char kHeartbeat[] = "flambeau.distributed.Heartbeat";

void end_heartbeat(PyObject* capsule) {
  auto* heartbeat = static_cast<Heartbeat*>(PyCapsule_GetPointer(capsule, kHeartbeat));
  const ReleasedGil released;
  delete heartbeat;
}

PyObject* start_heartbeat(PyObject*, PyObject* args) {
  int socket = 0;
  double seconds = 0;
  if (!PyArg_ParseTuple(args, "id", &socket, &seconds)) return nullptr;
  return in_capsule(std::make_unique<Heartbeat>(socket, seconds), kHeartbeat, end_heartbeat);
}

// Call this in a child process after fork(). It closes the socket, but does not free the Heartbeat, because the
// destructor would join a thread that does not exist in the child.
PyObject* abandon_heartbeat(PyObject*, PyObject* capsule) {
  auto* heartbeat = static_cast<Heartbeat*>(PyCapsule_GetPointer(capsule, kHeartbeat));
  if (!heartbeat || PyCapsule_SetDestructor(capsule, nullptr) < 0) return nullptr;
  close(heartbeat->descriptor());
  Py_RETURN_NONE;
}

constexpr char kGroup[] = "flambeau.distributed.SharedGroup", kJob[] = "flambeau.distributed.Job";

struct OpenGroup {
  Py_buffer memory;
  SharedGroup group;
  pid_t owner;  // only this process destroys the group, because its thread does not exist in a forked child
};

void end_group(PyObject* capsule) {
  auto* open = static_cast<OpenGroup*>(PyCapsule_GetPointer(capsule, kGroup));
  if (open->owner != getpid()) return;
  Py_buffer memory = open->memory;
  {
    const ReleasedGil released;
    delete open;
  }
  PyBuffer_Release(&memory);
}

SharedGroup* group_of(PyObject* capsule) {
  auto* open = static_cast<OpenGroup*>(PyCapsule_GetPointer(capsule, kGroup));
  return open ? &open->group : nullptr;
}

std::shared_ptr<Job>* job_of(PyObject* capsule) {
  return static_cast<std::shared_ptr<Job>*>(PyCapsule_GetPointer(capsule, kJob));
}

void end_job(PyObject* capsule) { delete job_of(capsule); }

PyObject* memory_size(PyObject*, PyObject* args) {
  int size = 0;
  Py_ssize_t chunk = 0;
  if (!PyArg_ParseTuple(args, "in", &size, &chunk)) return nullptr;
  return PyLong_FromSize_t(SharedGroup::memory_size(size, size_t(chunk)));
}

PyObject* supports(PyObject*, PyObject* args) {
  const char *operation = nullptr, *dtype = nullptr;
  size_t element_size = 0;
  if (!PyArg_ParseTuple(args, "ss", &operation, &dtype)) return nullptr;
  return PyBool_FromLong(reduction(operation, dtype, element_size) != nullptr);
}

PyObject* may_read(PyObject*, PyObject* args) {
  int process = 0;
  unsigned long long address = 0;
  if (!PyArg_ParseTuple(args, "iK", &process, &address)) return nullptr;
  return PyBool_FromLong(can_read(process, reinterpret_cast<const char*>(address)));
}

PyObject* open_group(PyObject*, PyObject* args) {
  PyObject* given = nullptr;
  int rank = 0, size = 0;
  Py_ssize_t chunk = 0;
  if (!PyArg_ParseTuple(args, "Oiin", &given, &rank, &size, &chunk)) return nullptr;
  Py_buffer memory;
  if (PyObject_GetBuffer(given, &memory, PyBUF_WRITABLE) < 0) return nullptr;
  std::unique_ptr<Py_buffer, decltype(&PyBuffer_Release)> held(&memory, PyBuffer_Release);
  if (size_t(memory.len) < SharedGroup::memory_size(size, size_t(chunk))) {
    PyErr_SetString(PyExc_ValueError, "open_group: the memory is too small");
    return nullptr;
  }
  std::unique_ptr<OpenGroup> open(
      new OpenGroup{memory, {static_cast<char*>(memory.buf), rank, size, size_t(chunk)}, getpid()});
  PyObject* const capsule = in_capsule(std::move(open), kGroup, end_group);
  if (capsule) held.release();
  return capsule;
}

PyObject* close_group(PyObject*, PyObject* capsule) {
  auto* open = static_cast<OpenGroup*>(PyCapsule_GetPointer(capsule, kGroup));
  if (!open) return nullptr;
  if (open->owner == getpid()) {
    const ReleasedGil released;
    open->group.close();
  }
  Py_RETURN_NONE;
}

// Converts a list of pairs (address, number of bytes).
bool take_ranges(PyObject* given, std::vector<MemoryRange>& ranges) {
  for (Py_ssize_t i = 0; i < PyList_GET_SIZE(given); ++i) {
    unsigned long long address = 0;
    Py_ssize_t bytes = 0;
    if (!PyArg_ParseTuple(PyList_GET_ITEM(given, i), "Kn", &address, &bytes)) return false;
    ranges.push_back({reinterpret_cast<char*>(address), size_t(bytes)});
  }
  return true;
}

PyObject* begin(PyObject*, PyObject* args) {
  PyObject *capsule = nullptr, *inputs = nullptr, *outputs = nullptr;
  int kind = 0, root = 0;
  const char *key = nullptr, *text = nullptr, *operation = nullptr, *dtype = nullptr;
  Py_ssize_t key_size = 0, text_size = 0, bytes = 0;
  if (!PyArg_ParseTuple(args, "Oiy#y#O!O!niss", &capsule, &kind, &key, &key_size, &text, &text_size, &PyList_Type,
                        &inputs, &PyList_Type, &outputs, &bytes, &root, &operation, &dtype)) {
    return nullptr;
  }
  SharedGroup* group = group_of(capsule);
  if (!group) return nullptr;
  auto job = std::make_shared<Job>();
  job->kind = Kind(kind);
  job->root = root;
  job->bytes = size_t(bytes);
  job->reduction = reduction(operation, dtype, job->element_size);
  std::memcpy(job->key.data(), key, std::min(size_t(key_size), kKeySize));
  std::memcpy(job->text.data(), text, std::min(size_t(text_size), kTextSize));
  if (!take_ranges(inputs, job->inputs) || !take_ranges(outputs, job->outputs)) return nullptr;
  auto kept = std::make_unique<std::shared_ptr<Job>>(job);
  {
    const ReleasedGil released;
    group->begin(std::move(job));
  }
  return in_capsule(std::move(kept), kJob, end_job);
}

PyObject* attend(PyObject*, PyObject* capsule) {
  SharedGroup* group = group_of(capsule);
  if (!group) return nullptr;
  group->attend();
  Py_RETURN_NONE;
}

PyObject* wait(PyObject*, PyObject* args) {
  PyObject *capsule = nullptr, *given = nullptr;
  double seconds = 0;
  if (!PyArg_ParseTuple(args, "OOd", &capsule, &given, &seconds)) return nullptr;
  SharedGroup* group = group_of(capsule);
  std::shared_ptr<Job>* job = group ? job_of(given) : nullptr;
  if (!job) return nullptr;
  int state = 0;
  {
    const ReleasedGil released;
    state = group->wait(**job, seconds);
  }
  return PyLong_FromLong(state);
}

PyObject* texts(PyObject*, PyObject* given) {
  std::shared_ptr<Job>* job = job_of(given);
  return job ? PyBytes_FromStringAndSize((*job)->texts.data(), Py_ssize_t((*job)->texts.size())) : nullptr;
}

PyMethodDef functions[] = {
    {"start_heartbeat", guarded<start_heartbeat>, METH_VARARGS,
     "Write a line feed to a socket at intervals (seconds), for as long as the returned object lives."},
    {"abandon_heartbeat", guarded<abandon_heartbeat>, METH_O, "Close a heartbeat's socket in a child process."},
    {"memory_size", guarded<memory_size>, METH_VARARGS, "Return how many bytes a group of some ranks shares."},
    {"supports", guarded<supports>, METH_VARARGS, "Return whether numbers of a dtype can be reduced by an operation."},
    {"may_read", guarded<may_read>, METH_VARARGS, "Return whether this process may read the memory of another one."},
    {"open_group", guarded<open_group>, METH_VARARGS, "Return this rank's part of a group that shares memory."},
    {"close_group", guarded<close_group>, METH_O, "Stop the thread of a group."},
    {"begin", guarded<begin>, METH_VARARGS, "Start a collective. The caller keeps its buffers alive."},
    {"attend", guarded<attend>, METH_O, "Start a thread that makes progress until no collective is pending."},
    {"wait", guarded<wait>, METH_VARARGS,
     "Make progress for some seconds. Returns: 0 while pending, 1 done, 2 mismatch."},
    {"texts", guarded<texts>, METH_O, "Return a description of the call of each rank, after a mismatch."},
    {nullptr, nullptr, 0, nullptr},
};

// The module does not need the GIL, because each object protects its state by a lock.
PyModuleDef_Slot slots[] = {
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, nullptr}};

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "flambeau.distributed._native",
                          "Native parts of flambeau.distributed.",
                          0,
                          functions,
                          slots,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace

}  // namespace flambeau::distributed

PyMODINIT_FUNC PyInit__native() { return PyModuleDef_Init(&flambeau::distributed::definition); }
