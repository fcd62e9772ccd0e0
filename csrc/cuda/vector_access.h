// Vectorized memory accesses of 8 and 16 bytes, and how a run of memory is cut so that they can be used whatever its
// alignment.
#pragma once

#include <cstdint>
#include <cstring>
#include <stdexcept>

#include "common/pixel.h"

#define FASTSR_PRAGMA(text) _Pragma(#text)
#if defined(__CUDACC__)
#define FASTSR_UNROLL(times) FASTSR_PRAGMA(unroll times)
#else
#define FASTSR_UNROLL(times) FASTSR_PRAGMA(GCC unroll times)
#endif

namespace fastsr::cuda {

template <int Bytes>
struct alignas(Bytes) Vector {
  uint32_t word[Bytes / 4];
};

FASTSR_INLINE int misalignment(const void* address, int bytes) {
  return static_cast<int>(reinterpret_cast<uintptr_t>(address) & static_cast<uintptr_t>(bytes - 1));
}

// The host refuses what a GPU would fault on, so that the emulation finds it.
FASTSR_INLINE void check_alignment([[maybe_unused]] const void* address, [[maybe_unused]] int bytes) {
#if !defined(__CUDA_ARCH__)
  if (misalignment(address, bytes) != 0) throw std::logic_error("a kernel made a misaligned memory access");
#endif
}

template <int Bytes>
FASTSR_INLINE Vector<Bytes> load_vector(const void* from) {
  check_alignment(from, Bytes);
#if defined(__CUDA_ARCH__)
  return *static_cast<const Vector<Bytes>*>(from);
#else
  Vector<Bytes> value;
  memcpy(&value, from, Bytes);
  return value;
#endif
}

template <int Bytes>
FASTSR_INLINE void store_vector(void* to, const Vector<Bytes>& value) {
  check_alignment(to, Bytes);
#if defined(__CUDA_ARCH__)
  *static_cast<Vector<Bytes>*>(to) = value;
#else
  memcpy(to, &value, Bytes);
#endif
}

// To global memory. Spelled out, as the compiler makes single stores of values that it has just assembled.
template <int Bytes>
FASTSR_INLINE void store_vector_global(void* to, const Vector<Bytes>& value) {
  static_assert(Bytes == 8 || Bytes == 16);
#if defined(__CUDA_ARCH__)
  const size_t address = __cvta_generic_to_global(to);
  if constexpr (Bytes == 16) {
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};" ::"l"(address), "r"(value.word[0]), "r"(value.word[1]),
                 "r"(value.word[2]), "r"(value.word[3]));
  } else {
    asm volatile("st.global.v2.u32 [%0], {%1, %2};" ::"l"(address), "r"(value.word[0]), "r"(value.word[1]));
  }
#else
  store_vector(to, value);
#endif
}

template <typename T>
FASTSR_INLINE T load_element(const void* from) {
  check_alignment(from, sizeof(T));
#if defined(__CUDA_ARCH__)
  return *static_cast<const T*>(from);
#else
  T value;
  memcpy(&value, from, sizeof value);
  return value;
#endif
}

template <typename T>
FASTSR_INLINE void store_element(void* to, T value) {
  check_alignment(to, sizeof(T));
#if defined(__CUDA_ARCH__)
  *static_cast<T*>(to) = value;
#else
  memcpy(to, &value, sizeof value);
#endif
}

// Elements side by side, as they lie in (little-endian) memory. Assembled by shifts: the compiler would take a copy of
// an array of small elements apart and store those.
template <int Bytes, typename T>
FASTSR_INLINE Vector<Bytes> pack(const T* values) {
  constexpr int size = static_cast<int>(sizeof(T));
  Vector<Bytes> packed;
  FASTSR_UNROLL(4)
  for (int w = 0; w < Bytes / 4; ++w) {
    if constexpr (size < 4) {
      packed.word[w] = 0;
      FASTSR_UNROLL(4)
      for (int i = 0; i < 4 / size; ++i) {
        uint32_t element = 0;
        memcpy(&element, values + w * (4 / size) + i, size);
        packed.word[w] |= element << (8 * size * i);
      }
    } else {
      memcpy(packed.word + w, reinterpret_cast<const unsigned char*>(values) + 4 * w, 4);
    }
  }
  return packed;
}

// Memory that may be read as a whole: accesses may reach beyond a run, never beyond this.
struct Extent {
  const unsigned char *begin, *end;
};

// Thread `lane` of `lanes` copies its share of the `bytes` at `from` to shared memory. They land at
// `to` + misalignment(from, 16), so that 16-byte pieces are aligned on both sides; `to` is aligned and has 15 bytes
// more on either side.
template <typename T>
FASTSR_INLINE void stage(const unsigned char* from, int bytes, Extent whole, unsigned char* to, int lane, int lanes) {
  const int skew = misalignment(from, 16);
  const unsigned char* aligned = from - skew;
  for (int at = lane * 16; at < skew + bytes; at += lanes * 16) {
    if (aligned + at >= whole.begin && aligned + at + 16 <= whole.end) {
      store_vector(to + at, load_vector<16>(aligned + at));
      continue;
    }
    for (int i = at; i < at + 16; i += static_cast<int>(sizeof(T))) {
      if (i >= skew && i < skew + bytes) store_element(to + i, load_element<T>(aligned + i));
    }
  }
}

// A run of `count` elements, stored in aligned pieces of Bytes: piece i holds the elements from first(i) on, of which
// the run may miss some at both ends.
template <typename T, int Bytes>
struct Pieces {
  static constexpr int width = Bytes / static_cast<int>(sizeof(T));
  T* run;
  int count, skew;

  FASTSR_INLINE Pieces(T* run_, int count_)
      : run(run_), count(count_), skew(misalignment(run_, Bytes) / static_cast<int>(sizeof(T))) {}
  FASTSR_INLINE bool has(int piece) const { return piece * width - skew < count; }
  FASTSR_INLINE int start(int piece) const {  // its first element inside the run
    const int first = piece * width - skew;
    return first > 0 ? first : 0;
  }
  FASTSR_INLINE bool whole(int piece) const {
    const int first = piece * width - skew;
    return first >= 0 && first + width <= count;
  }
  // Both take elements from `next`, one after another, from start(piece) on; the first needs a whole piece.
  template <class Next>
  FASTSR_INLINE void store_at_once(int piece, Next& next) const {
    T values[width];
    FASTSR_UNROLL(16)
    for (int i = 0; i < width; ++i) values[i] = next();
    store_vector_global(run + piece * width - skew, pack<Bytes>(values));
  }
  template <class Next>
  FASTSR_INLINE void store_each(int piece, Next& next) const {
    const int last = (piece + 1) * width - skew, stop = last < count ? last : count;
    FASTSR_UNROLL(1)
    for (int i = start(piece); i < stop; ++i) store_element(run + i, next());
  }
};

}  // namespace fastsr::cuda
