#include "cpu/yuv420.h"

#include <string>

#include "common/checks.h"

namespace fastsr::cpu {
namespace {

// Of red and blue each, and what is left for green: every coefficient then fits the kernels' 16 bits.
constexpr double kLeastShare = 0.02, kLeastGreen = 0.5;

YuvPlane plane(const Array& array, const char* name, int64_t height, int64_t width) {
  require(array.type == Type::u8 && array.shape.size() == 2 && array.shape[0] == height && array.shape[1] >= width,
          std::string(name) + " must be uint8, " + std::to_string(height) + " rows of at least " +
              std::to_string(width) + " samples");
  return YuvPlane{static_cast<uint8_t*>(array.data), array.shape[1]};
}

}  // namespace

YuvConversion yuv_conversion(const Array& pixels, const Array& luma, const Array& blue, const Array& red,
                             const YuvColors& colors) {
  require(pixels.type == Type::u8 && pixels.shape.size() == 3 && pixels.shape[2] == 3,
          "pixels must be height x width x 3, uint8");
  const bool shares = colors.red >= kLeastShare && colors.blue >= kLeastShare;
  require(shares && 1 - colors.red - colors.blue >= kLeastGreen, "red and blue are no shares of luma");
  const int64_t height = pixels.shape[0], width = pixels.shape[1];
  const int64_t rows = (height + 1) / 2, columns = (width + 1) / 2;
  const YuvFrame frame{
      {plane(luma, "luma", height, width), plane(blue, "blue", rows, columns), plane(red, "red", rows, columns)},
      height,
      width};
  return YuvConversion{static_cast<uint8_t*>(pixels.data), frame, colors};
}

}  // namespace fastsr::cpu
