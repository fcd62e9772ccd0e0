#include "cpu/isa.h"

#if defined(FASTSR_HAVE_X86)
#include <cpuid.h>
#endif

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

namespace fastsr::cpu {

namespace {

#if defined(FASTSR_HAVE_avxvnni)
// gcc 12 has no name for it: CPUID leaf 7, subleaf 1, EAX bit 4.
bool has_avxvnni() {
  unsigned a = 0, b = 0, c = 0, d = 0;
  return __get_cpuid_count(7, 1, &a, &b, &c, &d) != 0 && (a & (1u << 4)) != 0;
}
#endif

struct Isa {
  const char* name;
  bool available;
  bool chosen;  // unless FASTSR_ISA says otherwise
  const TileKernels* tiles;
  const ConvKernels* convs;
  const PngKernels* pngs;
  const ResampleKernels* resamples;
  const Yuv420Kernels* yuvs;
};

// Slowest first.
const std::vector<Isa>& isas() {
  static const std::vector<Isa> all = [] {
    std::vector<Isa> list{{"portable", true, true, &portable::tile_kernels, &portable::conv_kernels,
                           &portable::png_kernels, &portable::resample_kernels, &portable::yuv420_kernels}};
#if defined(FASTSR_HAVE_X86)
    __builtin_cpu_init();
    const bool avx2_here = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    [[maybe_unused]] const bool avx512_here =
        avx2_here && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni");
    const TileKernels* tiles = &avx2::tile_kernels;
    const PngKernels* pngs = &avx2::png_kernels;
    const ResampleKernels* resamples = &avx2::resample_kernels;
    const Yuv420Kernels* yuvs = &avx2::yuv420_kernels;
#if defined(FASTSR_HAVE_wide)
    list.push_back({"wide", avx2_here, false, tiles, &wide::conv_kernels, pngs, resamples, yuvs});
#endif
    list.push_back({"avx2", avx2_here, true, tiles, &avx2::conv_kernels, pngs, resamples, yuvs});
#if defined(FASTSR_HAVE_avxvnni)
    list.push_back({"avxvnni", avx2_here && has_avxvnni(), true, tiles, &avxvnni::conv_kernels, pngs, resamples, yuvs});
#endif
#if defined(FASTSR_HAVE_avx512)
    list.push_back({"avx512", avx512_here, true, tiles, &avx512::conv_kernels, pngs, resamples, yuvs});
#endif
#if defined(FASTSR_HAVE_avx512bf16)
    list.push_back({"avx512bf16", avx512_here && __builtin_cpu_supports("avx512bf16"), true, tiles,
                    &avx512bf16::conv_kernels, pngs, resamples, yuvs});
#endif
#endif
    return list;
  }();
  return all;
}

const Isa& active() {
  const std::string name = active_isa();
  return *std::find_if(isas().begin(), isas().end(), [&](const Isa& isa) { return isa.name == name; });
}

}  // namespace

std::vector<std::string> available_isas() {
  std::vector<std::string> names;
  for (const Isa& isa : isas()) {
    if (isa.available) names.emplace_back(isa.name);
  }
  return names;
}

std::string active_isa() {
  const char* asked = std::getenv("FASTSR_ISA");
  if (asked == nullptr || *asked == '\0') {
    const auto best =
        std::find_if(isas().rbegin(), isas().rend(), [](const Isa& isa) { return isa.available && isa.chosen; });
    return best->name;
  }
  const auto names = available_isas();
  if (std::find(names.begin(), names.end(), asked) != names.end()) return asked;
  std::string known;
  for (const auto& name : names) known += (known.empty() ? "" : ", ") + name;
  throw std::runtime_error("FASTSR_ISA=" + std::string(asked) + " is not available here; available: " + known);
}

const TileKernels& tile_kernels() { return *active().tiles; }
const ConvKernels& conv_kernels() { return *active().convs; }
const PngKernels& png_kernels() { return *active().pngs; }
const ResampleKernels& resample_kernels() { return *active().resamples; }
const Yuv420Kernels& yuv420_kernels() { return *active().yuvs; }

}  // namespace fastsr::cpu
