// Bindings for memory formats, strides and storages.
#include "calls/bind.h"

namespace flambeau::python {

namespace {

// Raises an error if `source` is a typed storage with another dtype than the tensor. Untyped storages are accepted for
// every dtype.
void require_elements_of(const Tensor& self, PyObject* source) {
  if (is_tensor(source)) return;
  const Object dtype(PyObject_GetAttrString(source, "dtype"));
  if (!dtype) return PyErr_Clear();
  require(Py_TYPE(dtype.get()) != dtype_type || dtype.get() == dtype_object(self.dtype()),
          "Expected a Storage of type ", self.dtype(), " or an UntypedStorage, but got one of ",
          text_of(Object(checked(PyObject_Str(dtype.get()))).get()));
}

Tensor shared_with(const Tensor& self, PyObject* source, int64_t offset, std::optional<Shape> size,
                   std::optional<Shape> stride) {
  if (source == Py_None) {
    set_storage(self, empty({0}, self.dtype()), {0}, {1}, 0);
    return self;
  }
  require_elements_of(self, source);
  const Object held(is_tensor(source) ? Py_NewRef(source) : PyObject_GetAttrString(source, "_bytes"));
  if (!held || !is_tensor(held.get())) {
    PyErr_Clear();
    detail::raise<TypeError>("set_(): argument 'source' must be Tensor or UntypedStorage, not ",
                             Py_TYPE(source)->tp_name);
  }
  Tensor from = tensor_of(held.get());
  if (from.dtype() != self.dtype() && !is_tensor(source)) {  // reinterpret the bytes of a storage
    NoRecording off;
    const int64_t items = from.numel() / item_size(self.dtype());
    from = view_dtype(narrow(from, 0, 0, items * item_size(self.dtype())), self.dtype());
  }
  const bool whole = is_tensor(source) && !size && !stride && offset == 0;
  if (whole) {
    set_storage(self, from, from.shape(), from.strides(), from.offset());
  } else {
    const Shape shape = size ? *size : Shape{from.numel()};
    set_storage(self, from, shape, stride ? *stride : contiguous_strides(shape), offset);
  }
  return self;
}

}  // namespace

void bind_layout() {
  def("_storage_bytes(input)", kPrivate,
      "Return all bytes of the tensor's storage as a uint8 tensor that shares its memory.", [](const Tensor& t) {
        return from_storage(t.impl()->storage, {int64_t(t.storage().bytes())}, {1}, 0, Dtype::uint8);
      });
  def("_storage_identifier(input)", kPrivate, "Return the address of the object that owns the tensor's memory.",
      [](const Tensor& t) { return int64_t(reinterpret_cast<intptr_t>(&t.storage())); });
  def("_resize_storage(input, nbytes)", kPrivate, "Resize the tensor's storage.", [](const Tensor& t, int64_t nbytes) {
    require(nbytes >= 0, "resize_: the size in bytes must not be negative, got ", nbytes);
    wait_for_operators();
    t.storage().resize(size_t(nbytes));
    return t;
  });
  def("_share_memory(input)", kPrivate, "Move the tensor's storage to shared memory.", [](const Tensor& t) {
    wait_for_operators();
    t.storage().share();
    return t;
  });
  def("_shared_descriptor(input)", kPrivate,
      "Return the file descriptor of the storage's shared memory, or -1 if it is not shared.",
      [](const Tensor& t) { return int64_t(t.storage().shared_descriptor()); });
  def("_from_shared(descriptor, nbytes)", kPrivate, "Return the bytes of the shared memory of a file descriptor.",
      [](int64_t descriptor, int64_t nbytes) {
        require<ValueError>(nbytes >= 0, "_from_shared(): nbytes must not be negative, got ", nbytes);
        require<ValueError>(descriptor == int(descriptor), "_from_shared(): ", descriptor,
                            " is not a valid file descriptor");
        return from_storage(Storage::map_shared(int(descriptor), size_t(nbytes)), {nbytes}, {1}, 0, Dtype::uint8);
      });
  def("_is_view(input)", kMethod, "Return True if the tensor is a view of another tensor, its ``_base``.",
      [](const Tensor& t) { return bool(t.impl()->base); });
  def("set_(input, source=None, storage_offset=0, size=None, stride=None)", kMethod,
      "Make the tensor a view of the memory of another tensor or of a storage. Without a source, make it empty.",
      shared_with);
}

}  // namespace flambeau::python
