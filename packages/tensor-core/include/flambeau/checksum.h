// The checksum of zip archives: CRC-32 with the reflected polynomial 0xEDB88320 (ISO 3309), as zlib.crc32 computes it.
#pragma once

#include <cstddef>
#include <cstdint>

#include "flambeau/macros.h"

namespace flambeau {

// `crc` is the checksum of the preceding bytes.
FLAMBEAU_API uint32_t crc32(const void* bytes, size_t count, uint32_t crc = 0);

}  // namespace flambeau
