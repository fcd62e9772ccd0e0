// Sizes of Winograd's F(4,3) along one axis: a tile of four outputs of a kernel of three columns (or rows) reads six
// inputs and takes as many products. All tiles' products of one kind are a plane; along both axes there are 36.
#pragma once

namespace fastsr::cpu {

constexpr int kWinogradTaps = 3;
constexpr int kWinogradOutputs = 4, kWinogradPlanes = kWinogradOutputs + kWinogradTaps - 1;
constexpr int kWinogradPlanes2d = kWinogradPlanes * kWinogradPlanes;

// The six planes are values at the points 0, near, -near, far, -far and infinity, as far as polynomials are concerned.
struct WinogradPoints {
  double near, far;

  // One over the sum of magnitudes of a plane's row of the input transform.
  constexpr double scale(int plane) const {
    switch ((plane + 1) / 2) {
      case 1: return 1 / ((1 + near) * (1 + far * far));
      case 2: return 1 / ((1 + far) * (1 + near * near));
      default: return 1 / ((1 + near * near) * (1 + far * far));  // 0 and infinity
    }
  }
};
constexpr WinogradPoints kFloatPoints{1, 2};  // the fewest products in the transforms
// About the least error of rounding transformed values to integers; far is one over near, which saves products.
constexpr WinogradPoints kIntegerPoints{2. / 3, 3. / 2};
constexpr int kWinogradLargest = 32767;  // of the integers of a transformed tile
constexpr int kWinogradWeights = 65536;  // of a plane's sum of integer weights' magnitudes, of an output

}  // namespace fastsr::cpu
