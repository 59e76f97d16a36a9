// ONNX Runtime's C API with owners for what it hands out: one graph, opened on the CPU.
#pragma once

#include <onnxruntime_c_api.h>

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <string>
#include <vector>

namespace pocketbert::onnxruntime {

const OrtApi& api();

// Owns what the C API hands out, and gives it back.
template <typename Handle, void (*OrtApi::*release)(Handle*)>
class Owned {
 public:
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (handle_ != nullptr) (api().*release)(handle_);
  }
  Handle** out() { return &handle_; }
  Handle* get() const { return handle_; }

 private:
  Handle* handle_ = nullptr;
};

using Environment = Owned<OrtEnv, &OrtApi::ReleaseEnv>;
using Memory = Owned<OrtMemoryInfo, &OrtApi::ReleaseMemoryInfo>;
using SessionHandle = Owned<OrtSession, &OrtApi::ReleaseSession>;
using Tensor = Owned<OrtValue, &OrtApi::ReleaseValue>;

class Session {
 public:
  Session(const std::filesystem::path& file, int threads,
          const std::vector<std::string>& disabled_optimizers);

  // Names, in the order of the graph.
  const std::vector<std::string>& inputs() const { return inputs_; }
  const std::vector<std::string>& outputs() const { return outputs_; }

  // -1 where a dimension varies.
  std::vector<std::int64_t> shape_of_input(std::size_t number) const;

  // Makes a tensor of numbers that are kept elsewhere. It is written to only as an output.
  void wrap(const std::vector<std::int64_t>& numbers, std::initializer_list<std::size_t> shape,
            Tensor& tensor) const;
  void wrap(const std::vector<float>& numbers, std::initializer_list<std::size_t> shape,
            Tensor& tensor) const;

  // Computes the first `count` outputs of all inputs. Of the outputs, those that are null are made.
  void run(const OrtValue* const* inputs, OrtValue** outputs, std::size_t count) const;

 private:
  void read_names();
  void wrap_bytes(const void* data, std::size_t bytes, ONNXTensorElementDataType type,
                  std::initializer_list<std::size_t> shape, Tensor& tensor) const;

  Environment environment_;
  Memory memory_;
  SessionHandle session_;
  std::vector<std::string> inputs_;
  std::vector<std::string> outputs_;
  std::vector<const char*> input_names_;  // the same for the C API
  std::vector<const char*> output_names_;
};

// What a tensor holds; refuses other than float32.
std::vector<float> floats_of(const Tensor& tensor);

}  // namespace pocketbert::onnxruntime
