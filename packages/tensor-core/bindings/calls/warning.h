// Python warnings.
#pragma once

#include <string>

namespace flambeau::python {

// Issues a UserWarning for the calling line. Throws an exception if the program turns warnings into errors.
void warn(const std::string& text);
// The same, once per process or, after repeat_warnings(true), at each call. `text` is never freed.
void warn_once(const char* text);
void repeat_warnings(bool repeat);

}  // namespace flambeau::python
