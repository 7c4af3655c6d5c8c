// Files of programs, in the safetensors format.
//
// A file consists of the length of the header (8 bytes, little-endian), the header, and the elements. The header is
// JSON. It maps each name to its dtype, shape and range of bytes, and "__metadata__" to strings. Source:
// https://github.com/huggingface/safetensors
#include <charconv>
#include <cstring>
#include <fstream>

#include "program/body.h"

namespace flambeau::program {

namespace {

constexpr uint64_t kMaxHeader = 100'000'000;

struct DtypeCode {
  std::string_view code;
  Dtype dtype;
};
constexpr DtypeCode kDtypeCodes[] = {
    {"BOOL", Dtype::bool_},
    {"U8", Dtype::uint8},
    {"I8", Dtype::int8},
    {"U16", Dtype::uint16},
    {"I16", Dtype::int16},
    {"U32", Dtype::uint32},
    {"I32", Dtype::int32},
    {"U64", Dtype::uint64},
    {"I64", Dtype::int64},
    {"F16", Dtype::float16},
    {"BF16", Dtype::bfloat16},
    {"F32", Dtype::float32},
    {"F64", Dtype::float64},
    {"C64", Dtype::complex64},
    {"F8_E4M3", Dtype::float8_e4m3fn},
    {"F8_E5M2", Dtype::float8_e5m2},
    {"F8_E8M0", Dtype::float8_e8m0fnu},
};

struct Entry {
  Dtype dtype = Dtype::float32;
  Shape shape;
  uint64_t begin = 0, end = 0;
};

class Header {
 public:
  Header(std::string_view text, const std::string& path) : left_(text), path_(path) {}

  void read(std::map<std::string, Entry>& entries, std::map<std::string, std::string>& metadata) {
    members([&](const std::string& name) {
      if (name != "__metadata__") return void(entries[name] = entry());
      members([&](const std::string& key) { metadata[key] = string(); });
    });
  }

 private:
  [[noreturn]] void fail() const {
    detail::raise<ValueError>(path_,
                              " was not written by flambeau.jit.save, or it is damaged: its header cannot be read");
  }
  void skip() {
    while (!left_.empty() && std::strchr(" \t\r\n", left_.front())) left_.remove_prefix(1);
  }
  bool take(char c) {
    skip();
    if (left_.empty() || left_.front() != c) return false;
    left_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!take(c)) fail();
  }
  // Calls f(key) for each member of an object. f reads the value.
  template <class F>
  void members(F&& f) {
    expect('{');
    for (bool first = true; !take('}'); first = false) {
      if (!first) expect(',');
      const std::string key = string();
      expect(':');
      f(key);
    }
  }
  uint64_t number() {
    skip();
    uint64_t out = 0;
    const auto [end, error] = std::from_chars(left_.data(), left_.data() + left_.size(), out);
    if (error != std::errc() || out >> 62) fail();
    left_.remove_prefix(size_t(end - left_.data()));
    return out;
  }
  std::vector<uint64_t> numbers() {
    std::vector<uint64_t> out;
    expect('[');
    while (!take(']')) {
      if (!out.empty()) expect(',');
      out.push_back(number());
    }
    return out;
  }

  // Reads the four digits after \u.
  uint32_t code_unit() {
    uint32_t out = 0;
    if (left_.size() < 4) fail();
    const auto [end, error] = std::from_chars(left_.data(), left_.data() + 4, out, 16);
    if (error != std::errc() || end != left_.data() + 4) fail();
    left_.remove_prefix(4);
    return out;
  }
  // Reads the part of an escape sequence after the backslash.
  void escape(std::string& out) {
    if (left_.empty()) fail();
    const char c = left_.front();
    left_.remove_prefix(1);
    constexpr std::string_view codes = "nrtbf", meant = "\n\r\t\b\f";
    if (const size_t i = codes.find(c); i != codes.npos) return out.push_back(meant[i]);
    if (c != 'u') return out.push_back(c);
    uint32_t point = code_unit();
    if (point >= 0xd800 && point < 0xdc00 && left_.starts_with("\\u")) {
      left_.remove_prefix(2);
      point = 0x10000 + ((point - 0xd800) << 10) + ((code_unit() - 0xdc00) & 0x3ff);
    }
    if (point < 0x80) return out.push_back(char(point));
    const int more = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;  // encode as UTF-8
    constexpr uint8_t first[] = {0, 0xc0, 0xe0, 0xf0};
    out.push_back(char(first[more] | point >> 6 * more));
    for (int i = more - 1; i >= 0; --i) out.push_back(char(0x80 | (point >> 6 * i & 0x3f)));
  }
  std::string string() {
    expect('"');
    std::string out;
    while (!left_.empty() && left_.front() != '"') {
      const char c = left_.front();
      left_.remove_prefix(1);
      if (c == '\\')
        escape(out);
      else
        out += c;
    }
    expect('"');
    return out;
  }

  Entry entry() {
    Entry out;
    members([&](const std::string& key) {
      if (key == "dtype") {
        const std::string code = string();
        const auto* const found = std::find_if(std::begin(kDtypeCodes), std::end(kDtypeCodes),
                                               [&](const DtypeCode& s) { return s.code == code; });
        require<NotImplementedError>(found != std::end(kDtypeCodes), path_, ": flambeau has no dtype for ", code);
        out.dtype = found->dtype;
      } else if (key == "shape") {
        for (const uint64_t size : numbers()) out.shape.push_back(int64_t(size));
      } else if (key == "data_offsets") {
        const std::vector<uint64_t> range = numbers();
        if (range.size() != 2) fail();
        out.begin = range[0], out.end = range[1];
      } else {
        fail();
      }
    });
    return out;
  }

  std::string_view left_;
  const std::string& path_;
};

// Returns the number of bytes of a tensor, or UINT64_MAX if it overflows.
uint64_t bytes_of(const Entry& entry) {
  uint64_t out = uint64_t(item_size(entry.dtype));
  for (const int64_t size : entry.shape)
    if (__builtin_mul_overflow(out, uint64_t(size), &out)) return UINT64_MAX;
  return out;
}

}  // namespace

File read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  require(file.is_open(), "cannot open ", path);
  const auto damaged = [&](bool good, const char* why) {
    require<ValueError>(good, path, " was not written by flambeau.jit.save, or it is damaged: ", why);
  };
  file.seekg(0, std::ios::end);
  const uint64_t size = uint64_t(file.tellg());
  file.seekg(0);
  uint64_t length = 0;
  damaged(size >= 8 && bool(file.read(reinterpret_cast<char*>(&length), 8)), "it is too short");
  damaged(length <= size - 8 && length <= kMaxHeader, "its header is longer than the file");
  std::string header(length, ' ');
  damaged(bool(file.read(header.data(), std::streamsize(length))), "its header ends early");
  std::map<std::string, Entry> entries;
  File out;
  Header(header, path).read(entries, out.metadata);
  const uint64_t start = 8 + length;
  const OnDevice cpu(DeviceType::Cpu);
  for (const auto& [name, entry] : entries) {
    damaged(entry.begin <= entry.end && entry.end <= size - start && entry.end - entry.begin == bytes_of(entry),
            "a tensor extends beyond its end");
    damaged(entry.shape.size() <= size_t(kMaxDims), "a tensor has too many dimensions");
    const Tensor t = empty(entry.shape, entry.dtype);
    file.seekg(std::streamoff(start + entry.begin));
    damaged(t.numel() == 0 || bool(file.read(t.bytes(), std::streamsize(entry.end - entry.begin))), "it ends early");
    out.tensors.emplace(name, t);
  }
  return out;
}

}  // namespace flambeau::program
