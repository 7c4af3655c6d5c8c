#include "platform/process.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <thread>

namespace flambeau::platform {

int process_id() { return int(getpid()); }

void at_fork(void (*before)(), void (*in_parent)(), void (*in_child)()) { pthread_atfork(before, in_parent, in_child); }

void start_background_thread(void (*function)(void*), void* argument) {
  struct SignalsBlocked {  // a new thread inherits the mask of the thread that creates it
    sigset_t former;
    SignalsBlocked() {
      sigset_t all;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &former);
    }
    ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &former, nullptr); }
  } const blocked;
  std::thread(function, argument).detach();
}

}  // namespace flambeau::platform
