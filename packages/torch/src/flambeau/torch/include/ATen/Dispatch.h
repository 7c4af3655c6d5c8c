// AT_DISPATCH_*(dtype, "name", [&] { ... scalar_t ... }) runs code in which scalar_t is the C++ type of a dtype.
#pragma once

#include <c10/core/ScalarType.h>

namespace at::detail {
inline c10::ScalarType scalar_type(c10::ScalarType type) { return type; }
inline c10::ScalarType scalar_type(caffe2::TypeMeta type) { return type.toScalarType(); }
template <class T>
c10::ScalarType scalar_type(const T& deprecated) {
  return deprecated.scalarType();
}
[[noreturn, gnu::cold]] inline void reject_dtype(const char* name, c10::ScalarType type) {
  ::flambeau::detail::raise<c10::NotImplementedError>('"', name, "\" not implemented for '", type, "'");
}
}  // namespace at::detail

#define AT_PRIVATE_CASE_TYPE_USING_HINT(enum_type, hint, ...)             \
  case enum_type: {                                                       \
    using hint [[maybe_unused]] = ::c10::ScalarTypeToCPPTypeT<enum_type>; \
    return __VA_ARGS__();                                                 \
  }
#define AT_DISPATCH_CASE(enum_type, ...) AT_PRIVATE_CASE_TYPE_USING_HINT(enum_type, scalar_t, __VA_ARGS__)
#define AT_DISPATCH_SWITCH(TYPE, NAME, ...)                                    \
  [&] {                                                                        \
    const ::c10::ScalarType dispatched_type = ::at::detail::scalar_type(TYPE); \
    [[maybe_unused]] constexpr const char* at_dispatch_name = NAME;            \
    switch (dispatched_type) {                                                 \
      __VA_ARGS__                                                              \
      default:                                                                 \
        ::at::detail::reject_dtype(NAME, dispatched_type);                     \
    }                                                                          \
  }()

// The cases for one or more dtypes. The macros below combine families of dtypes with additional dtypes.
#define FLAMBEAU_CASES_1(a, ...) AT_DISPATCH_CASE(a, __VA_ARGS__)
#define FLAMBEAU_CASES_2(a, b, ...) FLAMBEAU_CASES_1(a, __VA_ARGS__) AT_DISPATCH_CASE(b, __VA_ARGS__)
#define FLAMBEAU_CASES_3(a, b, c, ...) FLAMBEAU_CASES_2(a, b, __VA_ARGS__) AT_DISPATCH_CASE(c, __VA_ARGS__)
#define FLAMBEAU_CASES_4(a, b, c, d, ...) FLAMBEAU_CASES_3(a, b, c, __VA_ARGS__) AT_DISPATCH_CASE(d, __VA_ARGS__)

#define AT_DISPATCH_CASE_FLOATING_TYPES(...) \
  FLAMBEAU_CASES_2(::c10::ScalarType::Double, ::c10::ScalarType::Float, __VA_ARGS__)
#define AT_DISPATCH_CASE_REDUCED_FLOATING_TYPES(...) \
  FLAMBEAU_CASES_2(::c10::ScalarType::Half, ::c10::ScalarType::BFloat16, __VA_ARGS__)
#define AT_DISPATCH_CASE_FLOATING_TYPES_AND_HALF(...) \
  AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__) AT_DISPATCH_CASE(::c10::ScalarType::Half, __VA_ARGS__)
#define AT_DISPATCH_CASE_COMPLEX_TYPES(...) \
  FLAMBEAU_CASES_2(::c10::ScalarType::ComplexDouble, ::c10::ScalarType::ComplexFloat, __VA_ARGS__)
#define AT_DISPATCH_CASE_FLOATING_AND_COMPLEX_TYPES(...) \
  AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__) AT_DISPATCH_CASE_COMPLEX_TYPES(__VA_ARGS__)
#define AT_DISPATCH_CASE_INTEGRAL_TYPES(...)                                                                          \
  FLAMBEAU_CASES_4(::c10::ScalarType::Byte, ::c10::ScalarType::Char, ::c10::ScalarType::Int, ::c10::ScalarType::Long, \
                   __VA_ARGS__)                                                                                       \
  AT_DISPATCH_CASE(::c10::ScalarType::Short, __VA_ARGS__)
#define AT_DISPATCH_CASE_ALL_TYPES(...) \
  AT_DISPATCH_CASE_INTEGRAL_TYPES(__VA_ARGS__) AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__)
#define AT_DISPATCH_CASE_ALL_TYPES_AND_COMPLEX(...) \
  AT_DISPATCH_CASE_ALL_TYPES(__VA_ARGS__) AT_DISPATCH_CASE_COMPLEX_TYPES(__VA_ARGS__)

#define AT_DISPATCH_FLOATING_TYPES(TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_FLOATING_TYPES(__VA_ARGS__))
#define AT_DISPATCH_FLOATING_TYPES_AND_HALF(TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_FLOATING_TYPES_AND_HALF(__VA_ARGS__))
#define AT_DISPATCH_REDUCED_FLOATING_TYPES(TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_REDUCED_FLOATING_TYPES(__VA_ARGS__))
#define AT_DISPATCH_COMPLEX_TYPES(TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_COMPLEX_TYPES(__VA_ARGS__))
#define AT_DISPATCH_FLOATING_AND_COMPLEX_TYPES(TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_FLOATING_AND_COMPLEX_TYPES(__VA_ARGS__))
#define AT_DISPATCH_INTEGRAL_TYPES(TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_INTEGRAL_TYPES(__VA_ARGS__))
#define AT_DISPATCH_ALL_TYPES(TYPE, NAME, ...) AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_ALL_TYPES(__VA_ARGS__))
#define AT_DISPATCH_ALL_TYPES_AND_HALF(TYPE, NAME, ...) \
  AT_DISPATCH_ALL_TYPES_AND(::c10::ScalarType::Half, TYPE, NAME, __VA_ARGS__)
#define AT_DISPATCH_ALL_TYPES_AND_COMPLEX(TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_ALL_TYPES_AND_COMPLEX(__VA_ARGS__))

#define FLAMBEAU_AND_1(FAMILY, a, TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_##FAMILY(__VA_ARGS__) FLAMBEAU_CASES_1(a, __VA_ARGS__))
#define FLAMBEAU_AND_2(FAMILY, a, b, TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_##FAMILY(__VA_ARGS__) FLAMBEAU_CASES_2(a, b, __VA_ARGS__))
#define FLAMBEAU_AND_3(FAMILY, a, b, c, TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_##FAMILY(__VA_ARGS__) FLAMBEAU_CASES_3(a, b, c, __VA_ARGS__))
#define FLAMBEAU_AND_4(FAMILY, a, b, c, d, TYPE, NAME, ...) \
  AT_DISPATCH_SWITCH(TYPE, NAME, AT_DISPATCH_CASE_##FAMILY(__VA_ARGS__) FLAMBEAU_CASES_4(a, b, c, d, __VA_ARGS__))

#define AT_DISPATCH_FLOATING_TYPES_AND(...) FLAMBEAU_AND_1(FLOATING_TYPES, __VA_ARGS__)
#define AT_DISPATCH_FLOATING_TYPES_AND2(...) FLAMBEAU_AND_2(FLOATING_TYPES, __VA_ARGS__)
#define AT_DISPATCH_FLOATING_TYPES_AND3(...) FLAMBEAU_AND_3(FLOATING_TYPES, __VA_ARGS__)
#define AT_DISPATCH_FLOATING_AND_COMPLEX_TYPES_AND(...) FLAMBEAU_AND_1(FLOATING_AND_COMPLEX_TYPES, __VA_ARGS__)
#define AT_DISPATCH_FLOATING_AND_COMPLEX_TYPES_AND1(...) FLAMBEAU_AND_1(FLOATING_AND_COMPLEX_TYPES, __VA_ARGS__)
#define AT_DISPATCH_FLOATING_AND_COMPLEX_TYPES_AND2(...) FLAMBEAU_AND_2(FLOATING_AND_COMPLEX_TYPES, __VA_ARGS__)
#define AT_DISPATCH_FLOATING_AND_COMPLEX_TYPES_AND3(...) FLAMBEAU_AND_3(FLOATING_AND_COMPLEX_TYPES, __VA_ARGS__)
#define AT_DISPATCH_INTEGRAL_TYPES_AND(...) FLAMBEAU_AND_1(INTEGRAL_TYPES, __VA_ARGS__)
#define AT_DISPATCH_ALL_TYPES_AND(...) FLAMBEAU_AND_1(ALL_TYPES, __VA_ARGS__)
#define AT_DISPATCH_ALL_TYPES_AND2(...) FLAMBEAU_AND_2(ALL_TYPES, __VA_ARGS__)
#define AT_DISPATCH_ALL_TYPES_AND3(...) FLAMBEAU_AND_3(ALL_TYPES, __VA_ARGS__)
#define AT_DISPATCH_ALL_TYPES_AND4(...) FLAMBEAU_AND_4(ALL_TYPES, __VA_ARGS__)
#define AT_DISPATCH_ALL_TYPES_AND_COMPLEX_AND(...) FLAMBEAU_AND_1(ALL_TYPES_AND_COMPLEX, __VA_ARGS__)
#define AT_DISPATCH_ALL_TYPES_AND_COMPLEX_AND2(...) FLAMBEAU_AND_2(ALL_TYPES_AND_COMPLEX, __VA_ARGS__)
#define AT_DISPATCH_ALL_TYPES_AND_COMPLEX_AND3(...) FLAMBEAU_AND_3(ALL_TYPES_AND_COMPLEX, __VA_ARGS__)
#define AT_DISPATCH_ALL_TYPES_AND_COMPLEX_AND4(...) FLAMBEAU_AND_4(ALL_TYPES_AND_COMPLEX, __VA_ARGS__)

#define AT_DISPATCH_INDEX_TYPES(TYPE, NAME, ...)                                                   \
  AT_DISPATCH_SWITCH(TYPE, NAME,                                                                   \
                     AT_PRIVATE_CASE_TYPE_USING_HINT(::c10::ScalarType::Int, index_t, __VA_ARGS__) \
                         AT_PRIVATE_CASE_TYPE_USING_HINT(::c10::ScalarType::Long, index_t, __VA_ARGS__))

#define AT_DISPATCH_QINT_TYPES(...) static_assert(false, "flambeau has no quantised tensors")
