// This process, its forks and its signals.
#pragma once

namespace flambeau::platform {

int process_id();

// Calls the functions whenever this process forks: `before` and `in_parent` in the forking thread, `in_child` in the
// child process. Functions may be null. Does nothing on Windows, which has no fork.
void at_fork(void (*before)(), void (*in_parent)(), void (*in_child)());
inline void after_fork_in_child(void (*function)()) { at_fork(nullptr, nullptr, function); }

// Calls a function in a new thread that handles no signals, so that other threads handle them. Throws
// std::system_error if the system cannot create a thread.
void start_background_thread(void (*function)(void*), void* argument);

}  // namespace flambeau::platform
