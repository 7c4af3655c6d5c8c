#include "calls/warning.h"

#include <atomic>

#include "tensor/object.h"

namespace flambeau::python {

namespace {

std::atomic<bool> repeated{false};

// The texts that warn_once() has issued, in a list to which threads only add.
struct Issued {
  const char* text;
  const Issued* before;
};
std::atomic<const Issued*> last_issued{nullptr};

bool is_issued(const char* text) {
  for (const Issued* w = last_issued; w; w = w->before)
    if (w->text == text) return true;
  return false;
}

}  // namespace

void warn(const std::string& text) {
  if (PyErr_WarnEx(PyExc_UserWarning, text.c_str(), 1) < 0) throw PythonError();
}

void warn_once(const char* text) {
  if (!is_issued(text)) {
    auto* const added = new Issued{text, last_issued};
    while (!last_issued.compare_exchange_weak(added->before, added)) continue;
  } else if (!repeated) {
    return;
  }
  warn(text);
}

void repeat_warnings(bool repeat) { repeated = repeat; }

}  // namespace flambeau::python
