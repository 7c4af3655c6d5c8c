// The part of cuBLASLt that flambeau uses: products of column-major matrices. Sums are computed in double precision.
#include <algorithm>
#include <map>

#include "elements.h"

using namespace emulated;

namespace {

enum Status { kFine = 0, kWrongValue = 7, kUnsupported = 15 };

Element element_of(int type) {
  static const std::map<int, Element> types{{0, Element::kReal32},    {1, Element::kReal64},
                                            {2, Element::kReal16},    {4, Element::kComplex32},
                                            {5, Element::kComplex64}, {14, Element::kBrain16}};
  const auto found = types.find(type);
  return found == types.end() ? Element::kNone : found->second;
}

// Attributes by their numbers. Values are stored as bytes.
struct Attributes {
  std::map<int, std::string> values;
  int set(int attribute, const void* value, size_t bytes) {
    values[attribute] = std::string(static_cast<const char*>(value), bytes);
    return kFine;
  }
  template <class T>
  T get(int attribute, T otherwise) const {
    const auto found = values.find(attribute);
    if (found == values.end() || found->second.size() != sizeof(T)) return otherwise;
    std::memcpy(&otherwise, found->second.data(), sizeof(T));
    return otherwise;
  }
};

struct Product : Attributes {
  int compute, scale;
};
struct Layout : Attributes {
  Element element;
  int64_t rows, columns, leading;
  int32_t batch() const { return get<int32_t>(5, 1); }
  int64_t stride() const { return get<int64_t>(6, 0); }
  int64_t at(int64_t batch, int64_t row, int64_t column) const { return batch * stride() + column * leading + row; }
  std::pair<const void*, size_t> region(const void* data) const {
    const int64_t last = at(stride() ? batch() - 1 : 0, rows - 1, columns - 1);
    return {data, size_t(last + 1) * bytes_of(element)};
  }
};
struct Preference : Attributes {};

struct Heuristic {
  uint64_t algorithm[8];
  size_t workspace;
  int status;
  float waves;
  int reserved[4];
};
// The second algorithm rounds an intermediate sum to the type of the result, as the library may do unless its reduction
// schemes are restricted.
constexpr uint64_t kAlgorithm = 0xF1A, kRoundingAlgorithm = 0xF1B;
constexpr uint32_t kReducedAsComputed = 2;
constexpr size_t kWorkspace = size_t(4) << 20;

// Returns true if the sizes match: out (m, n) = left (m, k) * right (k, n).
bool fit(const Product& p, const Layout& left, const Layout& right, const Layout& out) {
  const bool transposed[] = {p.get<int32_t>(3, 0) == 1, p.get<int32_t>(4, 0) == 1};
  const auto rows = [](const Layout& l, bool transposed) { return transposed ? l.columns : l.rows; };
  const auto columns = [](const Layout& l, bool transposed) { return transposed ? l.rows : l.columns; };
  for (const Layout* l : {&left, &right, &out})
    if (l->element == Element::kNone || l->leading < l->rows || l->batch() != out.batch()) return false;
  return left.element == right.element && element_of(p.scale) != Element::kNone &&
         rows(left, transposed[0]) == out.rows && columns(right, transposed[1]) == out.columns &&
         columns(left, transposed[0]) == rows(right, transposed[1]);
}

Number rounded(Element e, Number value) {
  alignas(16) char room[16];
  write(e, room, 0, value);
  return read(e, room, 0);
}

void multiply(const Product& p, bool rounds, Number alpha, const void* a, const Layout& left, const void* b,
              const Layout& right, Number beta, const void* c, void* d, const Layout& out) {
  const bool left_transposed = p.get<int32_t>(3, 0) == 1, right_transposed = p.get<int32_t>(4, 0) == 1,
             tf32 = p.compute == 77, biased = p.get<int32_t>(7, 1) == 4;
  const void* bias = p.get<const void*>(8, nullptr);
  const Element bias_element = element_of(p.get<int32_t>(26, -1));
  const int64_t length = left_transposed ? left.rows : left.columns;
  for (int64_t batch = 0; batch < out.batch(); ++batch)
    for (int64_t column = 0; column < out.columns; ++column)
      for (int64_t row = 0; row < out.rows; ++row) {
        Number sum = 0;
        for (int64_t k = 0; k < length; ++k) {
          Number x = read(left.element, a, left_transposed ? left.at(batch, k, row) : left.at(batch, row, k)),
                 y = read(right.element, b, right_transposed ? right.at(batch, column, k) : right.at(batch, k, column));
          if (tf32) x = in_tf32(x), y = in_tf32(y);
          if (rounds && k == length / 2) sum = rounded(out.element, sum);
          sum += x * y;
        }
        sum *= alpha;
        const int64_t location = out.at(batch, row, column);
        if (beta != 0.0) sum += beta * read(out.element, c, location);
        if (biased) sum += read(bias_element, bias, row);
        write(out.element, d, location, sum);
      }
}

}  // namespace

EMULATED_API size_t cublasLtGetVersion() { return 130000; }
EMULATED_API int cublasLtCreate(int** handle) {
  EMULATED_CALL();
  static int library;
  *handle = &library;
  return kFine;
}
EMULATED_API int cublasLtMatmulDescCreate(Product** out, int compute, int scale) {
  *out = new Product{{}, compute, scale};
  return kFine;
}
EMULATED_API int cublasLtMatmulDescSetAttribute(Product* p, int attribute, const void* value, size_t bytes) {
  return p->set(attribute, value, bytes);
}
EMULATED_API int cublasLtMatmulDescDestroy(Product* p) {
  delete p;
  return kFine;
}
EMULATED_API int cublasLtMatrixLayoutCreate(Layout** out, int type, uint64_t rows, uint64_t columns, int64_t leading) {
  *out = new Layout{{}, element_of(type), int64_t(rows), int64_t(columns), leading};
  return kFine;
}
EMULATED_API int cublasLtMatrixLayoutSetAttribute(Layout* layout, int attribute, const void* value, size_t bytes) {
  return layout->set(attribute, value, bytes);
}
EMULATED_API int cublasLtMatrixLayoutDestroy(Layout* layout) {
  delete layout;
  return kFine;
}
EMULATED_API int cublasLtMatmulPreferenceCreate(Preference** out) {
  *out = new Preference;
  return kFine;
}
EMULATED_API int cublasLtMatmulPreferenceSetAttribute(Preference* p, int attribute, const void* value, size_t bytes) {
  return p->set(attribute, value, bytes);
}
EMULATED_API int cublasLtMatmulPreferenceDestroy(Preference* p) {
  delete p;
  return kFine;
}

// The addresses must be aligned at least to the size of the result's elements.
EMULATED_API int cublasLtMatmulAlgoGetHeuristic(int*, Product* p, Layout* left, Layout* right, Layout* c, Layout* out,
                                                Preference* preference, int wanted, Heuristic* found, int* count) {
  EMULATED_CALL();
  *count = 0;
  if (wanted < 1 || !fit(*p, *left, *right, *out) || c->rows != out->rows) return kUnsupported;
  if (preference->get<uint64_t>(1, 0) < kWorkspace) return kUnsupported;
  for (const int attribute : {5, 6, 7, 8})
    if (preference->get<uint32_t>(attribute, 256) < bytes_of(out->element)) return kUnsupported;
  const bool rounds = preference->get<uint32_t>(3, 7) & ~kReducedAsComputed;
  *found = {{rounds ? kRoundingAlgorithm : kAlgorithm}, kWorkspace, 0, 1, {}};
  *count = 1;
  return kFine;
}

EMULATED_API int cublasLtMatmul(int*, Product* p, const void* alpha, const void* a, Layout* left, const void* b,
                                Layout* right, const void* beta, const void* c, Layout*, void* d, Layout* out,
                                const uint64_t* algorithm, void* workspace, size_t bytes, Stream* stream) {
  EMULATED_CALL();
  if (!fit(*p, *left, *right, *out) || bytes < kWorkspace) return kWrongValue;
  if (algorithm[0] != kAlgorithm && algorithm[0] != kRoundingAlgorithm) return kWrongValue;
  const Element scale = element_of(p->scale);
  const Number factors[] = {read(scale, alpha, 0), read(scale, beta, 0)};
  std::vector<std::pair<const void*, size_t>> regions{
      left->region(a), right->region(b), out->region(d), {workspace, bytes}};
  if (p->get<int32_t>(7, 1) == 4)
    regions.emplace_back(p->get<const void*>(8, nullptr),
                         size_t(out->rows) * bytes_of(element_of(p->get<int32_t>(26, -1))));
  return submit_with(call, stream, "a product reached beyond its memory", std::move(regions),
                     [=, rounds = algorithm[0] == kRoundingAlgorithm, p = *p, left = *left, right = *right,
                      out = *out] { multiply(p, rounds, factors[0], a, left, b, right, factors[1], c, d, out); });
}
