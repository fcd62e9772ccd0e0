// Types of the elements that kernels read and write.
#pragma once

namespace fastsr {

enum class Type { u8, u16, f32, f16, bf16, other };

}  // namespace fastsr
