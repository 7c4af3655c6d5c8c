#include "heartbeat.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <system_error>

namespace flambeau::distributed {

Heartbeat::Heartbeat(int socket, double seconds) : descriptor_(fcntl(socket, F_DUPFD_CLOEXEC, 3)) {
  if (descriptor_ < 0) throw std::system_error(errno, std::generic_category(), "heartbeat: cannot copy the socket");
  thread_ = std::thread(&Heartbeat::run, this, seconds);
}

Heartbeat::~Heartbeat() {
  {
    const std::lock_guard lock(mutex_);
    ended_ = true;
  }
  changed_.notify_all();
  thread_.join();
  close(descriptor_);
}

void Heartbeat::run(double seconds) {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, std::chrono::duration<double>(seconds), [this] { return ended_; })) {
    // Errors are ignored. They mean that the server has ended, which the Python code detects in another way.
    send(descriptor_, "\n", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
  }
}

}  // namespace flambeau::distributed
