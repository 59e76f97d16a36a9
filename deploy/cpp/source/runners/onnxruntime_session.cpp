#include "onnxruntime_session.hpp"

#include <onnxruntime_session_options_config_keys.h>

#include <array>

#include "pocketbert.hpp"
#include "utf8.hpp"

namespace pocketbert::onnxruntime {
namespace {

using SessionOptions = Owned<OrtSessionOptions, &OrtApi::ReleaseSessionOptions>;
using Shape = Owned<OrtTensorTypeAndShapeInfo, &OrtApi::ReleaseTensorTypeAndShapeInfo>;
using Status = Owned<OrtStatus, &OrtApi::ReleaseStatus>;
using Type = Owned<OrtTypeInfo, &OrtApi::ReleaseTypeInfo>;

constexpr std::size_t kMostDimensions = 6;

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

void configure(SessionOptions& options, int threads,
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

template <typename GetName>
std::string name_of(const OrtSession* session, GetName get_name, std::size_t number) {
  OrtAllocator* allocator = nullptr;
  check(api().GetAllocatorWithDefaultOptions(&allocator));
  char* name = nullptr;
  check((api().*get_name)(session, number, allocator, &name));
  std::string copy = name;
  check(api().AllocatorFree(allocator, name));
  return copy;
}

}  // namespace

const OrtApi& api() {
  static const OrtApi* const found = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (found == nullptr) {
    throw Error("the loaded ONNX Runtime is version " +
                std::string(OrtGetApiBase()->GetVersionString()) + ", expected 1." +
                std::to_string(ORT_API_VERSION) + " or later; install that");
  }
  return *found;
}

Session::Session(const std::filesystem::path& file, int threads,
                 const std::vector<std::string>& disabled_optimizers) {
  check(api().CreateEnv(ORT_LOGGING_LEVEL_ERROR, "pocketbert", environment_.out()));
  check(api().CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, memory_.out()));
  SessionOptions options;
  configure(options, threads, disabled_optimizers);
  const std::string path = file.string();
  const std::string refusal = failure(
      api().CreateSession(environment_.get(), path.c_str(), options.get(), session_.out()));
  if (!refusal.empty()) {
    throw Error(path + " does not load (" + refusal + "), expected a model for onnxruntime " +
                OrtGetApiBase()->GetVersionString() + " or older");
  }
  read_names();
}

void Session::read_names() {
  std::size_t inputs = 0;
  std::size_t outputs = 0;
  check(api().SessionGetInputCount(session_.get(), &inputs));
  check(api().SessionGetOutputCount(session_.get(), &outputs));
  for (std::size_t i = 0; i < inputs; ++i) {
    inputs_.push_back(name_of(session_.get(), &OrtApi::SessionGetInputName, i));
  }
  for (std::size_t i = 0; i < outputs; ++i) {
    outputs_.push_back(name_of(session_.get(), &OrtApi::SessionGetOutputName, i));
  }
  for (const std::string& name : inputs_) input_names_.push_back(name.c_str());
  for (const std::string& name : outputs_) output_names_.push_back(name.c_str());
}

std::vector<std::int64_t> Session::shape_of_input(std::size_t number) const {
  Type type;
  check(api().SessionGetInputTypeInfo(session_.get(), number, type.out()));
  const OrtTensorTypeAndShapeInfo* shape = nullptr;  // the type's own
  check(api().CastTypeInfoToTensorInfo(type.get(), &shape));
  if (shape == nullptr) {
    throw Error("the model's input '" + inputs_[number] +
                "' is no tensor, expected one; build the bundle again");
  }
  std::size_t count = 0;
  check(api().GetDimensionsCount(shape, &count));
  std::vector<std::int64_t> dimensions(count);
  check(api().GetDimensions(shape, dimensions.data(), count));
  return dimensions;
}

void Session::wrap(const std::vector<std::int64_t>& numbers,
                   std::initializer_list<std::size_t> shape, Tensor& tensor) const {
  wrap_bytes(numbers.data(), numbers.size() * sizeof(std::int64_t),
             ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, shape, tensor);
}

void Session::wrap(const std::vector<float>& numbers, std::initializer_list<std::size_t> shape,
                   Tensor& tensor) const {
  wrap_bytes(numbers.data(), numbers.size() * sizeof(float), ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT,
             shape, tensor);
}

void Session::wrap_bytes(const void* data, std::size_t bytes, ONNXTensorElementDataType type,
                         std::initializer_list<std::size_t> shape, Tensor& tensor) const {
  std::array<std::int64_t, kMostDimensions> dimensions{};
  std::size_t count = 0;
  for (const std::size_t size : shape) dimensions.at(count++) = static_cast<std::int64_t>(size);
  static char nothing = 0;  // stands for no numbers at all, of which the C API wants a place too
  // The C API takes inputs as not const, but does not write to them.
  void* numbers = bytes == 0 ? &nothing : const_cast<void*>(data);
  check(api().CreateTensorWithDataAsOrtValue(memory_.get(), numbers, bytes, dimensions.data(),
                                             count, type, tensor.out()));
}

void Session::run(const OrtValue* const* inputs, OrtValue** outputs, std::size_t count) const {
  check(api().Run(session_.get(), nullptr, input_names_.data(), inputs, input_names_.size(),
                  output_names_.data(), count, outputs));
}

std::vector<float> floats_of(const Tensor& tensor) {
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
  const auto* numbers = static_cast<const float*>(data);
  return {numbers, numbers + count};
}

}  // namespace pocketbert::onnxruntime
