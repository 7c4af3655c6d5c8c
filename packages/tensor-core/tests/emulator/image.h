// What stands for a cubin: a shared library followed by a trailer, by which a damaged one is recognised.
#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace emulated {

struct ImageTrailer {
  char magic[8] = {'e', 'm', 'u', 'l', 'a', 't', 'e', 'd'};
  uint64_t checksum = 0;
};

inline uint64_t checksum(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325;  // FNV-1a
  for (unsigned char byte : bytes) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

// Where the library ends by its own account: the table of its sections comes last. 0 if it is none.
inline size_t library_bytes(const char* header) {
  Elf64_Ehdr elf;
  std::memcpy(&elf, header, sizeof elf);
  if (std::memcmp(elf.e_ident, ELFMAG, SELFMAG) != 0 || elf.e_shoff > (256u << 20)) return 0;
  return elf.e_shoff + size_t(elf.e_shnum) * elf.e_shentsize;
}

inline std::string make_image(std::string library) {
  library.resize(library_bytes(library.data()));
  ImageTrailer trailer;
  trailer.checksum = checksum(library);
  library.append(reinterpret_cast<const char*>(&trailer), sizeof trailer);
  return library;
}

}  // namespace emulated
