// 8-bit RGB to planes of YUV 4:2:0 and back: what is asked, checked, and the kernels. Chroma is halved and enlarged by
// cubic convolution with a = -0.6, as swscale does it, along columns and rows; all is computed in integers.
#pragma once

#include <cstdint>

#include "common/array.h"

namespace fastsr::cpu {

// What a stream says of its colours.
struct YuvColors {
  double red, blue;  // shares of luma, such as 0.299 and 0.114 (BT.601)
  bool full_range;
  bool chroma_left;  // chroma samples lie on even columns; else in the middle between an even one and the next
};

// One plane: rows of `stride` bytes.
struct YuvPlane {
  uint8_t* data;
  int64_t stride;
};

// Luma, then blue and red difference at half the width and height, rounded up.
struct YuvFrame {
  YuvPlane planes[3];
  int64_t height, width;
};

struct YuvConversion {
  uint8_t* pixels;  // height x width x 3
  YuvFrame frame;
  YuvColors colors;
};

struct Yuv420Kernels {
  void (*from_rgb)(const YuvConversion&);
  void (*to_rgb)(const YuvConversion&);
};

// One table per instruction set; isa.h chooses.
namespace portable {
extern const Yuv420Kernels yuv420_kernels;
}
namespace avx2 {
extern const Yuv420Kernels yuv420_kernels;
}

// Arguments for the kernels, or std::invalid_argument. `pixels` H x W x 3; `luma` H x stride; `blue` and `red`
// (H + 1) / 2 x stride; all uint8.
YuvConversion yuv_conversion(const Array& pixels, const Array& luma, const Array& blue, const Array& red,
                             const YuvColors& colors);

}  // namespace fastsr::cpu
