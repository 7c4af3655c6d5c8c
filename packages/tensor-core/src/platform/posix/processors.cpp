#include "platform/processors.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#ifdef __linux__
#include <sched.h>
#include <sys/syscall.h>
#ifdef __x86_64__
#include <cpuid.h>
#endif
#elif defined(__APPLE__)
#include <sys/sysctl.h>
#endif

namespace flambeau::platform {

#ifdef __linux__
namespace {

namespace fs = std::filesystem;

// Returns the number of processors that corresponds to a quota of CPU time in each period, rounded up. Returns 0 if no
// quota is set.
int processors_of(double quota, double period) {
  return quota > 0 && period > 0 ? int(std::clamp(std::ceil(quota / period), 1.0, 1e6)) : 0;
}

int smaller_quota(int a, int b) { return a && b ? std::min(a, b) : std::max(a, b); }

// Returns the number of processors that a control group of version 2 allows, or 0 if it has no quota. The file contains
// "quota period" or "max period".
int quota_in(const fs::path& folder) {
  std::ifstream file(folder / "cpu.max");
  std::string quota;
  double period = 0;
  return file >> quota >> period ? processors_of(std::strtod(quota.c_str(), nullptr), period) : 0;
}

// Like quota_in(), for a control group of version 1, which has a file for each number. A quota of -1 means that no
// quota is set.
int first_version_quota_in(const fs::path& folder) {
  double quota = 0, period = 0;
  std::ifstream(folder / "cpu.cfs_quota_us") >> quota;
  std::ifstream(folder / "cpu.cfs_period_us") >> period;
  return processors_of(quota, period);
}

// Returns the smallest number of processors that a quota of this process's control groups allows, or 0 without a quota.
int processors_in_quota() {
  const fs::path groups = "/sys/fs/cgroup";
  std::ifstream memberships("/proc/self/cgroup");
  int found = 0;
  for (std::string line; std::getline(memberships, line);) {  // a line has the form number:controllers:path
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool has_cpu = controllers.find(",cpu,") != std::string::npos;
    if (!has_cpu && controllers != ",,") continue;
    const fs::path mount = has_cpu ? groups / "cpu" : groups;
    // The quotas of parent groups also apply. In a container, the path may be the path on the host, so that only
    // `mount` exists.
    for (fs::path path = fs::path(line.substr(second + 1)).relative_path();; path = path.parent_path()) {
      found = smaller_quota(found, has_cpu ? first_version_quota_in(mount / path) : quota_in(mount / path));
      if (path.empty()) break;
    }
  }
  return found;
}

}  // namespace
#endif

int available_processors() {
  int count = int(std::thread::hardware_concurrency());
#ifdef __linux__
  cpu_set_t allowed;
  if (sched_getaffinity(0, sizeof allowed, &allowed) == 0) count = CPU_COUNT(&allowed);
  count = smaller_quota(count, processors_in_quota());
#endif
  return std::max(1, count);
}

int64_t second_level_cache() {
#ifdef _SC_LEVEL2_CACHE_SIZE
  return std::max(0L, sysconf(_SC_LEVEL2_CACHE_SIZE));
#elif defined(__APPLE__)
  int64_t bytes = 0;
  size_t size = sizeof bytes;
  return sysctlbyname("hw.l2cachesize", &bytes, &size, nullptr, 0) == 0 ? bytes : 0;
#else
  return 0;
#endif
}

bool enable_amx() {
#if defined(__linux__) && defined(__x86_64__)
  constexpr unsigned kBfloat16 = 1u << 22, kTiles = 1u << 24;  // flags of the processor
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d & kBfloat16) && (d & kTiles) &&
         syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace flambeau::platform
