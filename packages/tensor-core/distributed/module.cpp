// The extension module flambeau.distributed._native.
#include <Python.h>
#include <unistd.h>

#include <exception>

#include "heartbeat.h"

namespace flambeau::distributed {

namespace {

constexpr char kHeartbeat[] = "flambeau.distributed.Heartbeat";

void end_heartbeat(PyObject* capsule) {
  auto* heartbeat = static_cast<Heartbeat*>(PyCapsule_GetPointer(capsule, kHeartbeat));
  Py_BEGIN_ALLOW_THREADS;
  delete heartbeat;
  Py_END_ALLOW_THREADS;
}

PyObject* start_heartbeat(PyObject*, PyObject* args) {
  int socket = 0;
  double seconds = 0;
  if (!PyArg_ParseTuple(args, "id", &socket, &seconds)) return nullptr;
  try {
    return PyCapsule_New(new Heartbeat(socket, seconds), kHeartbeat, end_heartbeat);
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_OSError, error.what());
    return nullptr;
  }
}

// The thread does not exist in a child process, so that the object can only be left as it is.
PyObject* abandon_heartbeat(PyObject*, PyObject* capsule) {
  auto* heartbeat = static_cast<Heartbeat*>(PyCapsule_GetPointer(capsule, kHeartbeat));
  if (!heartbeat || PyCapsule_SetDestructor(capsule, nullptr) < 0) return nullptr;
  close(heartbeat->descriptor());
  Py_RETURN_NONE;
}

PyMethodDef functions[] = {
    {"start_heartbeat", start_heartbeat, METH_VARARGS,
     "Write a line feed to a socket at intervals (seconds), for as long as the returned object lives."},
    {"abandon_heartbeat", abandon_heartbeat, METH_O, "Close a heartbeat's socket in a child process."},
    {nullptr, nullptr, 0, nullptr},
};

PyModuleDef definition = {PyModuleDef_HEAD_INIT,
                          "flambeau.distributed._native",
                          "Native parts of flambeau.distributed.",
                          0,
                          functions,
                          nullptr,
                          nullptr,
                          nullptr,
                          nullptr};

}  // namespace

}  // namespace flambeau::distributed

PyMODINIT_FUNC PyInit__native() { return PyModuleDef_Init(&flambeau::distributed::definition); }
