#include "platform/processors.h"

#include <windows.h>

#include <algorithm>
#include <bit>
#include <vector>

namespace flambeau::platform {

int available_processors() {
  DWORD_PTR allowed = 0, existing = 0;  // of this process's group of at most 64 processors
  GetProcessAffinityMask(GetCurrentProcess(), &allowed, &existing);
  return std::max(1, std::popcount(allowed));
}

int64_t second_level_cache() {
  DWORD bytes = 0;
  GetLogicalProcessorInformation(nullptr, &bytes);
  std::vector<SYSTEM_LOGICAL_PROCESSOR_INFORMATION> found(bytes / sizeof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION));
  if (!GetLogicalProcessorInformation(found.data(), &bytes)) return 0;
  for (const auto& each : found)
    if (each.Relationship == RelationCache && each.Cache.Level == 2) return int64_t(each.Cache.Size);
  return 0;
}

bool enable_amx() { return false; }

}  // namespace flambeau::platform
