// Names of dtypes in messages that programs written for PyTorch look for.
#pragma once

#include "flambeau/dtype.h"

namespace flambeau {

// "Float" for float32: PyTorch's name of a dtype in C++.
constexpr const char* scalar_type(Dtype d) {
  switch (d) {
    case Dtype::bool_:
      return "Bool";
    case Dtype::uint8:
      return "Byte";
    case Dtype::int8:
      return "Char";
    case Dtype::int16:
      return "Short";
    case Dtype::int32:
      return "Int";
    case Dtype::int64:
      return "Long";
    case Dtype::uint16:
      return "UInt16";
    case Dtype::uint32:
      return "UInt32";
    case Dtype::uint64:
      return "UInt64";
    case Dtype::float16:
      return "Half";
    case Dtype::bfloat16:
      return "BFloat16";
    case Dtype::float32:
      return "Float";
    case Dtype::float64:
      return "Double";
    case Dtype::complex64:
      return "ComplexFloat";
    case Dtype::complex128:
      return "ComplexDouble";
    case Dtype::float8_e4m3fn:
      return "Float8_e4m3fn";
    case Dtype::float8_e5m2:
      return "Float8_e5m2";
    case Dtype::float8_e4m3fnuz:
      return "Float8_e4m3fnuz";
    case Dtype::float8_e5m2fnuz:
      return "Float8_e5m2fnuz";
    case Dtype::float8_e8m0fnu:
      return "Float8_e8m0fnu";
  }
  return "Undefined";
}

}  // namespace flambeau
