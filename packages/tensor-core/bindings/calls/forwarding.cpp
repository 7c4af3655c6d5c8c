// The base class of operator overloads (flambeau._core._Forwarding). It forwards calls to another callable in C++,
// which is faster than a __call__ method in Python.
#include <structmember.h>

#include "calls/dispatch.h"

namespace flambeau::python {

namespace {

struct ForwardingObject {
  PyObject_HEAD PyObject* forward;  // callable that receives the calls; if null or None, _call_checked() does
};

ForwardingObject& forwarding(PyObject* self) { return *reinterpret_cast<ForwardingObject*>(self); }

PyObject* call_forward(PyObject* self, PyObject* args, PyObject* kwargs) {
  PyObject* const forward = forwarding(self).forward;
  if (FLAMBEAU_LIKELY(forward && forward != Py_None)) return PyObject_Call(forward, args, kwargs);
  const Object method(PyObject_GetAttrString(self, "_call_checked"));
  return method ? PyObject_Call(method.get(), args, kwargs) : nullptr;
}

int traverse_forward(PyObject* self, visitproc visit, void* arg) {
  Py_VISIT(Py_TYPE(self));
  Py_VISIT(forwarding(self).forward);
  return 0;
}
int clear_forward(PyObject* self) {
  Py_CLEAR(forwarding(self).forward);
  return 0;
}
void dealloc_forward(PyObject* self) {
  PyTypeObject* const type = Py_TYPE(self);
  PyObject_GC_UnTrack(self);
  clear_forward(self);
  type->tp_free(self);
  Py_DECREF(type);
}

PyMemberDef members[] = {{"_forward", T_OBJECT, offsetof(ForwardingObject, forward), 0, nullptr}, {}};
PyType_Slot slots[] = {{Py_tp_call, reinterpret_cast<void*>(call_forward)},
                       {Py_tp_traverse, reinterpret_cast<void*>(traverse_forward)},
                       {Py_tp_clear, reinterpret_cast<void*>(clear_forward)},
                       {Py_tp_dealloc, reinterpret_cast<void*>(dealloc_forward)},
                       {Py_tp_members, members},
                       {0, nullptr}};
PyType_Spec spec = {"flambeau._core._Forwarding", sizeof(ForwardingObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC, slots};

}  // namespace

void bind_forwarding(PyObject* module) {
  const Object type(checked(PyType_FromSpec(&spec)));
  PyModule_AddObjectRef(module, "_Forwarding", type.get());
}

}  // namespace flambeau::python
