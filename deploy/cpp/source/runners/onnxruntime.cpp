// Runs an ONNX file with ONNX Runtime on the CPU, through its C API.

#include <onnxruntime_c_api.h>
#include <onnxruntime_session_options_config_keys.h>

#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "pocketbert.hpp"
#include "runner.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

const OrtApi& api() {
  static const OrtApi* const found = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (found == nullptr) {
    throw Error("the loaded ONNX Runtime is version " +
                std::string(OrtGetApiBase()->GetVersionString()) + ", expected 1." +
                std::to_string(ORT_API_VERSION) + " or later; install that");
  }
  return *found;
}

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
using SessionOptions = Owned<OrtSessionOptions, &OrtApi::ReleaseSessionOptions>;
using Session = Owned<OrtSession, &OrtApi::ReleaseSession>;
using Tensor = Owned<OrtValue, &OrtApi::ReleaseValue>;
using Shape = Owned<OrtTensorTypeAndShapeInfo, &OrtApi::ReleaseTensorTypeAndShapeInfo>;
using Status = Owned<OrtStatus, &OrtApi::ReleaseStatus>;

// The message of a failed call; empty if it succeeded.
std::string failure(OrtStatus* status) {
  Status owned;
  *owned.out() = status;
  // It may quote names of a damaged model.
  return status == nullptr ? std::string() : utf8::replace_invalid(api().GetErrorMessage(status));
}

void check(OrtStatus* status) {
  const std::string message = failure(status);
  if (!message.empty()) {
    throw Error("ONNX Runtime stopped (" + message +
                "), expected a model that runs; build the bundle again");
  }
}

using Column = std::vector<std::int64_t> Batch::*;

Column column_named(const std::string& input) {
  if (input == "input_ids") return &Batch::input_ids;
  if (input == "attention_mask") return &Batch::attention_mask;
  if (input == "token_type_ids") return &Batch::token_type_ids;
  throw Error("the model has an input '" + input +
              "', expected input_ids, attention_mask and token_type_ids; build the bundle again");
}

class OnnxRuntimeRunner : public Runner {
 public:
  OnnxRuntimeRunner(const std::string& path, int threads,
                    const std::vector<std::string>& disabled_optimizers) {
    check(api().CreateEnv(ORT_LOGGING_LEVEL_ERROR, "pocketbert", environment_.out()));
    check(api().CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, memory_.out()));
    SessionOptions options;
    configure(options, threads, disabled_optimizers);
    const std::string refusal = failure(
        api().CreateSession(environment_.get(), path.c_str(), options.get(), session_.out()));
    if (!refusal.empty()) {
      throw Error(path + " does not load (" + refusal + "), expected a model for onnxruntime " +
                  OrtGetApiBase()->GetVersionString() + " or older");
    }
    read_names();
  }

  std::vector<float> run(const Batch& batch) const override {
    std::array<Tensor, kMostInputs> inputs;
    std::array<const OrtValue*, kMostInputs> values{};
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      wrap(batch, batch.*columns_[i], inputs[i]);
      values[i] = inputs[i].get();
    }
    Tensor output;
    const char* const output_name = output_name_.c_str();
    check(api().Run(session_.get(), nullptr, input_names_.data(), values.data(), columns_.size(),
                    &output_name, 1, output.out()));
    return floats_of(output);
  }

 private:
  static constexpr std::size_t kMostInputs = 3;

  static void configure(SessionOptions& options, int threads,
                        const std::vector<std::string>& disabled_optimizers) {
    check(api().CreateSessionOptions(options.out()));
    check(api().SetIntraOpNumThreads(options.get(), threads));
    check(api().SetInterOpNumThreads(options.get(), 1));
    check(api().SetSessionLogSeverityLevel(options.get(), ORT_LOGGING_LEVEL_ERROR));
    std::string disabled;
    for (const std::string& name : disabled_optimizers) disabled += name + ";";
    check(api().AddSessionConfigEntry(options.get(), kOrtSessionOptionsDisableSpecifiedOptimizers,
                                      disabled.c_str()));
  }

  void read_names() {
    std::size_t inputs = 0;
    std::size_t outputs = 0;
    check(api().SessionGetInputCount(session_.get(), &inputs));
    check(api().SessionGetOutputCount(session_.get(), &outputs));
    if (inputs > kMostInputs || outputs == 0) {
      throw Error("the model has " + std::to_string(inputs) + " inputs and " +
                  std::to_string(outputs) +
                  " outputs, expected up to 3 and logits; build the bundle again");
    }
    for (std::size_t i = 0; i < inputs; ++i) {
      columns_.push_back(column_named(name_of(&OrtApi::SessionGetInputName, i)));
    }
    for (const Column column : columns_) {
      input_names_.push_back(column == &Batch::input_ids        ? "input_ids"
                             : column == &Batch::attention_mask ? "attention_mask"
                                                                : "token_type_ids");
    }
    output_name_ = name_of(&OrtApi::SessionGetOutputName, 0);
  }

  template <typename GetName>
  std::string name_of(GetName get_name, std::size_t index) const {
    OrtAllocator* allocator = nullptr;
    check(api().GetAllocatorWithDefaultOptions(&allocator));
    char* name = nullptr;
    check((api().*get_name)(session_.get(), index, allocator, &name));
    std::string copy = name;
    check(api().AllocatorFree(allocator, name));
    return copy;
  }

  void wrap(const Batch& batch, const std::vector<std::int64_t>& column, Tensor& tensor) const {
    const std::array<std::int64_t, 2> shape = {static_cast<std::int64_t>(batch.rows),
                                               static_cast<std::int64_t>(batch.length)};
    // The C API takes inputs as not const, but does not write to them.
    auto* data = const_cast<std::int64_t*>(column.data());
    check(api().CreateTensorWithDataAsOrtValue(
        memory_.get(), data, column.size() * sizeof(std::int64_t), shape.data(), shape.size(),
        ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, tensor.out()));
  }

  static std::vector<float> floats_of(const Tensor& tensor) {
    Shape shape;
    check(api().GetTensorTypeAndShape(tensor.get(), shape.out()));
    ONNXTensorElementDataType type = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
    check(api().GetTensorElementType(shape.get(), &type));
    if (type != ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT) {
      throw Error("the model's logits are no float32, expected that; build the bundle again");
    }
    std::size_t count = 0;
    check(api().GetTensorShapeElementCount(shape.get(), &count));
    void* data = nullptr;
    check(api().GetTensorMutableData(tensor.get(), &data));
    const auto* logits = static_cast<const float*>(data);
    return {logits, logits + count};
  }

  Environment environment_;
  Memory memory_;
  Session session_;
  std::vector<Column> columns_;  // one for each input of the model
  std::vector<const char*> input_names_;
  std::string output_name_;
};

}  // namespace

std::unique_ptr<Runner> open_onnxruntime(const Bundle& bundle, const Target& target, int threads) {
  const std::filesystem::path path = bundle.root / target.path;
  return std::make_unique<OnnxRuntimeRunner>(path.string(), threads, target.disabled_optimizers);
}

}  // namespace pocketbert
