#include "isa.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace fastsr::cpu {

std::vector<std::string> available_isas() {
  std::vector<std::string> names{"portable"};
#if defined(FASTSR_HAVE_AVX2)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) names.emplace_back("avx2");
#endif
  return names;
}

std::string active_isa() {
  const auto names = available_isas();
  const char* asked = std::getenv("FASTSR_ISA");
  if (asked == nullptr || *asked == '\0') return names.back();
  if (std::find(names.begin(), names.end(), asked) != names.end()) return asked;
  std::string known;
  for (const auto& name : names) known += (known.empty() ? "" : ", ") + name;
  throw std::runtime_error("FASTSR_ISA=" + std::string(asked) + " is not available here; available: " + known);
}

const TileKernels& tile_kernels() {
#if defined(FASTSR_HAVE_AVX2)
  if (active_isa() == "avx2") return avx2::tile_kernels;
#else
  active_isa();
#endif
  return portable::tile_kernels;
}

}  // namespace fastsr::cpu
