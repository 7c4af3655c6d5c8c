#include "tensor/peer.h"

#include <structmember.h>

#include "calls/dispatch.h"

namespace flambeau::python {

namespace {

// Separates an object from a tensor that is being destroyed. If Python code may still use the object, because the code
// has obtained the object from a weak reference or is its finalizer, the object gets a new tensor with the same
// elements.
void separate(PyObject* preserved) {
  Tensor& handle = reinterpret_cast<TensorObject*>(preserved)->tensor;
  Tensor remaining;
  if (Py_IsInitialized() && (Py_REFCNT(preserved) > 1 || Py_TYPE(preserved)->tp_finalize)) {
    remaining = alias(handle);
    remaining.impl()->python_object = preserved;
  }
  new (&handle) Tensor(std::move(remaining));  // the old handle owns no reference: preserve() has released it
}

void clear_slots(PyTypeObject* type, PyObject* self) {
  const PyMemberDef* member = type->tp_members;
  for (Py_ssize_t i = 0; member && i < Py_SIZE(type); ++i, ++member) {
    if (member->type != T_OBJECT_EX || (member->flags & READONLY)) continue;
    PyObject** const slot = reinterpret_cast<PyObject**>(reinterpret_cast<char*>(self) + member->offset);
    Py_CLEAR(*slot);
  }
}

}  // namespace

PythonPeer::~PythonPeer() {
  // When the interpreter shuts down, objects cannot be released any more, but the garbage collector still visits them.
  if (!Py_IsInitialized()) {
    if (preserved) separate(preserved);
    return;
  }
  const PyGILState_STATE state = PyGILState_Ensure();
  if (preserved) separate(preserved);
  Py_XDECREF(preserved);
  Py_XDECREF(device);
  PyGILState_Release(state);
}

PythonPeer& peer_of(const Tensor& t) {
  std::unique_ptr<TensorPeer>& peer = meta_of(t).peer;
  if (!peer) peer = std::make_unique<PythonPeer>();
  return static_cast<PythonPeer&>(*peer);
}

PythonPeer* peer_if_any(const Tensor& t) {
  const AutogradMeta* const meta = t.impl()->autograd;
  return meta ? static_cast<PythonPeer*>(meta->peer.get()) : nullptr;
}

bool preserve(PyObject* self) {
  const TensorObject* const o = reinterpret_cast<TensorObject*>(self);
  const Tensor& t = o->tensor;
  if (!t.defined() || t.impl()->use_count() == 1 || t.impl()->python_object != self) return false;
  if (!o->is_gradient && !class_dispatches(Py_TYPE(self))) return false;
  _Py_NewReference(self);
  peer_of(t).preserved = self;
  t.impl()->release();
  return true;
}

void reclaim_object(const Tensor& t, PyObject* object) {
  PythonPeer* const peer = peer_if_any(t);
  if (!peer || peer->preserved != object) return;
  peer->preserved = nullptr;
  t.impl()->retain();  // the object references the tensor again
  Py_DECREF(object);   // the tensor no longer owns the object; the caller has another reference
}

PyObject* preserved_gradient(const AutogradMeta& meta) {
  if (!meta.grad.defined() || meta.grad.impl()->use_count() != 1) return nullptr;
  const PythonPeer* const peer = peer_if_any(meta.grad);
  return peer ? peer->preserved : nullptr;
}

bool release_derived(PyObject* self) {
  if (preserve(self)) return false;
  if (Py_TYPE(self)->tp_finalize && PyObject_CallFinalizerFromDealloc(self) < 0) return false;
  PyObject_GC_UnTrack(self);
  for (PyTypeObject* type = Py_TYPE(self); type != tensor_type; type = type->tp_base) clear_slots(type, self);
  return true;
}

}  // namespace flambeau::python
