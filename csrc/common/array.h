// Arrays as callers describe them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "common/element_type.h"

namespace fastsr {

// A C-contiguous array wherever it lies; a null pointer means that none was given.
struct Array {
  void* data = nullptr;
  Type type = Type::other;
  int64_t item = 0;  // bytes per element
  std::string dtype;
  std::vector<int64_t> shape;
};

// NumPy's name of an element type; Type::other for those that only pixel_shuffle moves.
inline Type type_named(const std::string& name) {
  if (name == "uint8") return Type::u8;
  if (name == "uint16") return Type::u16;
  if (name == "float32") return Type::f32;
  if (name == "float16") return Type::f16;
  return name == "bfloat16" ? Type::bf16 : Type::other;
}

}  // namespace fastsr
