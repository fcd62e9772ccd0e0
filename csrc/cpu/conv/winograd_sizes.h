// Sizes of Winograd's F(4,3) and F(2,3) along one axis: a tile of four outputs (or two) of a kernel of three columns
// (or rows) reads six inputs (four) and takes as many products. All tiles' products of one kind are a plane; along both
// axes there are 36 (16).
#pragma once

namespace fastsr::cpu {

constexpr int kWinogradTaps = 3;
// F(4,3)
constexpr int kWinogradOutputs = 4, kWinogradPlanes = kWinogradOutputs + kWinogradTaps - 1;
constexpr int kWinogradPlanes2d = kWinogradPlanes * kWinogradPlanes;
// F(2,3)
constexpr int kWinogradF2Outputs = 2, kWinogradF2Planes = kWinogradF2Outputs + kWinogradTaps - 1;
constexpr int kWinogradF2Planes2d = kWinogradF2Planes * kWinogradF2Planes;

}  // namespace fastsr::cpu
