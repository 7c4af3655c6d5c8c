#include "platform/process.h"

#include <windows.h>

#include <thread>

namespace flambeau::platform {

int process_id() { return int(GetCurrentProcessId()); }

void at_fork(void (*)(), void (*)(), void (*)()) {}

void start_background_thread(void (*function)(void*), void* argument) { std::thread(function, argument).detach(); }

}  // namespace flambeau::platform
