// Sizes of Winograd's F(4,3) along one axis: a tile of four outputs of a kernel of three columns (or rows) reads six
// inputs and takes six products. All tiles' products of one kind are a plane; along both axes there are 36.
#pragma once

namespace fastsr::cpu {

constexpr int kWinogradOutputs = 4, kWinogradTaps = 3, kWinogradPlanes = kWinogradOutputs + kWinogradTaps - 1;
constexpr int kWinogradPlanes2d = kWinogradPlanes * kWinogradPlanes;

}  // namespace fastsr::cpu
