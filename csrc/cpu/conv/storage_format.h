// How the tensors of a convolution program are held in memory.
//
// A row of a tensor is its pixels one after the other, each with its channels side by side, filled up with zeros to
// whole vectors ("padded channels"). Tensors are held as float, or packed for the dot products of an instruction set:
// four bytes then hold two or four neighbouring channels.
#pragma once

namespace fastsr::cpu {

// What four bytes hold: one float; two int8 quantized values less their zero point, as s16; four of them as u8; two
// bfloat16.
enum class StorageFormat { f32, s16x2, u8x4, bf16x2 };

// Quantization parameters of an int8 tensor: quantized value = round(value / scale) + zero_point, within 0..255.
struct QuantizationParams {
  float scale = 1;
  int zero_point = 0;
};

}  // namespace fastsr::cpu
