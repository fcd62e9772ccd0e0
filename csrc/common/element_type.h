// Types of the elements that kernels read and write.
#pragma once

#include <cstdint>

namespace fastsr {

enum class Type { u8, u16, f32, f16, bf16, other };

// Bytes of an element of any type that has a name.
inline int64_t item_bytes(Type type) { return type == Type::u8 ? 1 : type == Type::f32 ? 4 : 2; }

}  // namespace fastsr
