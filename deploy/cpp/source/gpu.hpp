// The first GPU through CUDA's runtime: whether there is one, a stream, memory that is kept.
// Compiled only with TensorRT.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <optional>
#include <string>

namespace pocketbert {

// Why no GPU can be used here; nullopt if one can.
std::optional<std::string> why_no_gpu();

struct GpuModel {
  std::string name;        // as the driver calls it
  std::string capability;  // compute capability, such as "8.7"
};

GpuModel gpu_model();

// Makes the first GPU the calling thread's.
void enter_gpu();

class Stream {
 public:
  Stream();
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream();

  cudaStream_t get() const { return stream_; }
  void upload(void* to, const void* from, std::size_t size_bytes) const;
  void download(void* to, const void* from, std::size_t size_bytes) const;  // and waits for it

 private:
  cudaStream_t stream_ = nullptr;
};

// Memory of the GPU, which grows and stays.
class GpuMemory {
 public:
  GpuMemory() = default;
  GpuMemory(const GpuMemory&) = delete;
  GpuMemory& operator=(const GpuMemory&) = delete;
  ~GpuMemory();

  // Of that size or more; what it held may be lost.
  void* at_least(std::size_t size_bytes);

 private:
  void* address_ = nullptr;
  std::size_t size_bytes_ = 0;
};

}  // namespace pocketbert
