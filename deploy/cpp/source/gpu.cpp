#include "gpu.hpp"

#include "pocketbert.hpp"

namespace pocketbert {
namespace {

void check(cudaError_t status, const char* call) {
  if (status == cudaSuccess) return;
  throw Error(std::string("CUDA answers '") + cudaGetErrorString(status) + "' to " + call +
              ", expected success; look at the GPU with nvidia-smi");
}

}  // namespace

std::optional<std::string> why_no_gpu() {
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess) {
    return std::string("this machine has no GPU that CUDA can use (") + cudaGetErrorString(status) +
           ")";
  }
  if (count == 0) return "CUDA finds no GPU";
  return std::nullopt;
}

GpuModel gpu_model() {
  cudaDeviceProp properties{};
  check(cudaGetDeviceProperties(&properties, 0), "cudaGetDeviceProperties");
  return {properties.name,
          std::to_string(properties.major) + "." + std::to_string(properties.minor)};
}

void enter_gpu() { check(cudaSetDevice(0), "cudaSetDevice"); }

Stream::Stream() { check(cudaStreamCreate(&stream_), "cudaStreamCreate"); }

Stream::~Stream() { cudaStreamDestroy(stream_); }

void Stream::upload(void* to, const void* from, std::size_t size_bytes) const {
  check(cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyHostToDevice, stream_), "cudaMemcpyAsync");
}

void Stream::download(void* to, const void* from, std::size_t size_bytes) const {
  check(cudaMemcpyAsync(to, from, size_bytes, cudaMemcpyDeviceToHost, stream_), "cudaMemcpyAsync");
  check(cudaStreamSynchronize(stream_), "cudaStreamSynchronize");
}

GpuMemory::~GpuMemory() { cudaFree(address_); }

void* GpuMemory::at_least(std::size_t size_bytes) {
  if (size_bytes > size_bytes_) {
    check(cudaFree(address_), "cudaFree");
    address_ = nullptr;
    size_bytes_ = 0;
    check(cudaMalloc(&address_, size_bytes), "cudaMalloc");
    size_bytes_ = size_bytes;
  }
  return address_;
}

}  // namespace pocketbert
