// Memory for vectors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

namespace fastsr::cpu {

// Memory that starts at a cache line.
class Block {
 public:
  explicit Block(size_t bytes = 0)
      : size_(bytes), data_(bytes ? static_cast<uint8_t*>(::operator new(bytes, std::align_val_t{64})) : nullptr) {}
  uint8_t* data() const { return data_.get(); }
  size_t size() const { return size_; }  // bytes

 private:
  struct Free {
    void operator()(uint8_t* p) const { ::operator delete(p, std::align_val_t{64}); }
  };
  size_t size_;
  std::unique_ptr<uint8_t, Free> data_;
};

// Memory that one thread uses again and again.
class Scratch {
 public:
  float* floats(int64_t count) {
    if (count > size_) block_ = Block(static_cast<size_t>(size_ = count) * sizeof(float));
    return reinterpret_cast<float*>(block_.data());
  }

 private:
  int64_t size_ = 0;
  Block block_;
};

}  // namespace fastsr::cpu
