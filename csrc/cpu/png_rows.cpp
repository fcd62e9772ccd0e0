#include "cpu/png_rows.h"

#include "common/checks.h"

namespace fastsr::cpu {

PngRows png_rows(const Array& rows, const Array& above, const Array& out) {
  require(rows.type == Type::u8 || rows.type == Type::u16,
          "rows has dtype " + rows.dtype + "; accepted: uint8 and uint16 pixels");
  require(rows.shape.size() == 3 && rows.shape[2] >= 1 && rows.shape[2] <= 4,
          "rows must be height x width x channels, 1 to 4 channels");
  const int64_t height = rows.shape[0], width = rows.shape[1], channels = rows.shape[2];
  const int64_t row_bytes = width * channels * rows.item;
  if (above.data != nullptr) {
    require(above.type == rows.type && above.shape == std::vector<int64_t>{width, channels},
            "above must be one row as those of rows, of their dtype");
  }
  require(out.type == Type::u8 && out.shape == std::vector<int64_t>{height, 1 + row_bytes},
          "out must be uint8, height x (1 + bytes of a row)");
  return PngRows{
      rows.data, above.data, height, row_bytes, channels * rows.item, rows.item, static_cast<uint8_t*>(out.data)};
}

}  // namespace fastsr::cpu
