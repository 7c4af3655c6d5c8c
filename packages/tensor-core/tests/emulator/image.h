// The emulated counterpart of a cubin: a shared library followed by a trailer. The trailer shows whether an image is
// damaged, was made by another emulator, or by a compiler that is newer than the driver.
#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace emulated {

struct ImageTrailer {
  char build[16];                          // identifies the emulator that compiled it
  uint64_t generation;                     // CUDA version of the compiler, such as 13
  uint64_t checksum = 0xcbf29ce484222325;  // FNV-1a

  ImageTrailer(std::string_view library, int generation) : generation(uint64_t(generation)) {
    static_assert(sizeof EMULATED_BUILD == sizeof build + 1);
    std::memcpy(build, EMULATED_BUILD, sizeof build);
    for (unsigned char byte : library) checksum = (checksum ^ byte) * 0x100000001b3;
  }
};

// Returns the size of the library according to its header: the section table is at its end. Returns 0 for other data.
inline size_t library_bytes(const char* header) {
  Elf64_Ehdr elf;
  std::memcpy(&elf, header, sizeof elf);
  if (std::memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_shoff > (256u << 20)) return 0;
  return elf.e_shoff + size_t(elf.e_shnum) * elf.e_shentsize;
}

inline std::string make_image(std::string library, int generation) {
  library.resize(library_bytes(library.data()));
  const ImageTrailer trailer(library, generation);
  library.append(reinterpret_cast<const char*>(&trailer), sizeof trailer);
  return library;
}

}  // namespace emulated
