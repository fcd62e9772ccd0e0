#include "cpu/resampling.h"

#include "common/checks.h"

namespace fastsr::cpu {
namespace {

// That every sum lies within `length` samples.
Taps checked_taps(const std::vector<int64_t>& starts, const Array& weights, int64_t length) {
  require(weights.dtype == "float64" && weights.shape.size() == 2 && weights.shape[1] >= 1 &&
              weights.shape[0] == static_cast<int64_t>(starts.size()),
          "weights must be float64, as many rows as starts");
  const int64_t taps = weights.shape[1];
  for (const int64_t start : starts) {
    require(start >= 0 && taps <= length && start <= length - taps, "a sum reaches beyond the pixels");
  }
  return Taps{starts.data(), static_cast<const double*>(weights.data), weights.shape[0], taps};
}

void check_rows(const Array& rows) {
  require(rows.type == Type::f32 && rows.shape.size() == 3, "rows must be height x width x channels, float32");
}

}  // namespace

ResampleColumns columns_to_resample(const Array& rows, const std::vector<int64_t>& starts, const Array& weights,
                                    const Array& out) {
  check_rows(rows);
  const Taps taps = checked_taps(starts, weights, rows.shape[1]);
  require(out.type == Type::f32 && out.shape == std::vector<int64_t>{rows.shape[0], taps.count, rows.shape[2]},
          "out must be float32, as many columns as weights");
  return ResampleColumns{static_cast<const float*>(rows.data), rows.shape[0], rows.shape[1], rows.shape[2], taps,
                         static_cast<float*>(out.data)};
}

ResampleRows rows_to_resample(const Array& rows, const std::vector<int64_t>& starts, const Array& weights,
                              const Array& out) {
  check_rows(rows);
  const Taps taps = checked_taps(starts, weights, rows.shape[0]);
  require(out.type == Type::u8 || out.type == Type::u16 || out.type == Type::f32,
          "out has dtype " + out.dtype + "; accepted: uint8, uint16, float32 pixels");
  require(out.shape == std::vector<int64_t>{taps.count, rows.shape[1], rows.shape[2]},
          "out must have as many rows as weights");
  return ResampleRows{
      static_cast<const float*>(rows.data), rows.shape[0], rows.shape[1] * rows.shape[2], taps, out.data, out.type};
}

}  // namespace fastsr::cpu
