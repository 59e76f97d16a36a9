// Runs the plan of a target that `pocketbert build` made on this machine. Calls what TensorRT 10.3
// to 11.x have alike.

#include <NvInferRuntime.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "files.hpp"
#include "gpu.hpp"
#include "plans.hpp"
#include "pocketbert.hpp"
#include "runner.hpp"
#include "utf8.hpp"

namespace pocketbert {
namespace {

// Keeps what TensorRT said last of what went wrong.
class Log : public nvinfer1::ILogger {
 public:
  void log(Severity severity, const char* message) noexcept override {
    if (severity > Severity::kERROR) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    last_error_ = message;
  }

  std::string last_error() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (last_error_.empty()) return "no reason given";
    return utf8::replace_invalid(last_error_.substr(0, last_error_.find('\n')));
  }

 private:
  mutable std::mutex mutex_;
  std::string last_error_;
};

// TensorRT keeps one logger for the whole process, up to its end.
Log& process_log() {
  static Log* const log = new Log;
  return *log;
}

std::string loaded_version() {
  return std::to_string(getInferLibMajorVersion()) + "." +
         std::to_string(getInferLibMinorVersion()) + "." +
         std::to_string(getInferLibPatchVersion()) + "." +
         std::to_string(getInferLibBuildVersion());
}

Place place_here() {
  GpuModel gpu = gpu_model();
  return {std::move(gpu.name), std::move(gpu.capability), loaded_version(), read_l4t()};
}

class TensorRtRunner : public Runner {
 public:
  explicit TensorRtRunner(const Plan& plan) : profiles_(plan.profiles) {
    runtime_.reset(nvinfer1::createInferRuntime(process_log()));
    const std::string content = read_file(plan.file);
    if (runtime_) engine_.reset(runtime_->deserializeCudaEngine(content.data(), content.size()));
    if (!engine_) refuse(plan, process_log().last_error());
    if (engine_->getNbOptimizationProfiles() != static_cast<std::int32_t>(profiles_.size())) {
      refuse(plan, "it has " + std::to_string(engine_->getNbOptimizationProfiles()) + " profiles");
    }
    read_tensors(plan);
    for (std::int32_t number = 0; number < engine_->getNbOptimizationProfiles(); ++number) {
      contexts_.emplace_back(engine_->createExecutionContext());
      if (!contexts_.back() ||
          !contexts_.back()->setOptimizationProfileAsync(number, stream_.get())) {
        refuse(plan, process_log().last_error());
      }
    }
  }

  // In pieces of as many rows as the widest profile takes. Contexts and memory serve one call at a
  // time.
  std::vector<float> run(const Batch& batch) const override {
    const std::lock_guard<std::mutex> lock(mutex_);
    enter_gpu();
    const auto most = static_cast<std::size_t>(profiles_.back().max[0]);
    std::vector<float> logits;
    for (std::size_t start = 0; start < batch.rows; start += most) {
      infer(batch, start, std::min(most, batch.rows - start), logits);
    }
    return logits;
  }

 private:
  struct Input {
    std::string name;
    Column column;
    mutable GpuMemory memory;
  };

  [[noreturn]] static void refuse(const Plan& plan, const std::string& why) {
    throw Error("TensorRT " + loaded_version() + " does not open " + plan.file.string() + " (" +
                why + "), expected one that was built here; run `pocketbert build` with --rebuild");
  }

  void read_tensors(const Plan& plan) {
    for (std::int32_t number = 0; number < engine_->getNbIOTensors(); ++number) {
      const std::string name = engine_->getIOTensorName(number);
      const nvinfer1::DataType type = engine_->getTensorDataType(name.c_str());
      const bool is_input =
          engine_->getTensorIOMode(name.c_str()) == nvinfer1::TensorIOMode::kINPUT;
      if (type != (is_input ? nvinfer1::DataType::kINT64 : nvinfer1::DataType::kFLOAT)) {
        refuse(plan, name + " is neither int64 and read nor float32 and computed");
      }
      if (is_input) {
        inputs_.push_back(std::make_unique<Input>());
        inputs_.back()->name = name;
        inputs_.back()->column = column_named(name);
      } else {
        output_ = name;
      }
    }
    if (output_.empty()) refuse(plan, "it computes nothing");
  }

  // Appends the logits of some rows.
  void infer(const Batch& batch, std::size_t start, std::size_t rows,
             std::vector<float>& logits) const {
    nvinfer1::IExecutionContext& context = *contexts_[profile_of(rows, batch.length, profiles_)];
    const std::size_t values = rows * batch.length;
    nvinfer1::Dims shape{};
    shape.nbDims = 2;
    shape.d[0] = static_cast<std::int64_t>(rows);
    shape.d[1] = static_cast<std::int64_t>(batch.length);
    bool ready = true;
    for (const std::unique_ptr<Input>& input : inputs_) {
      void* const memory = input->memory.at_least(values * sizeof(std::int64_t));
      stream_.upload(memory, (batch.*input->column).data() + start * batch.length,
                     values * sizeof(std::int64_t));
      ready = ready && context.setInputShape(input->name.c_str(), shape) &&
              context.setTensorAddress(input->name.c_str(), memory);
    }
    const std::size_t before = logits.size();
    const std::size_t count = ready ? size_of(context.getTensorShape(output_.c_str())) : 0;
    logits.resize(before + count);
    void* const memory = output_memory_.at_least(count * sizeof(float));
    if (count == 0 || !context.setTensorAddress(output_.c_str(), memory) ||
        !context.enqueueV3(stream_.get())) {
      throw Error("TensorRT does not run inputs of shape (" + std::to_string(rows) + ", " +
                  std::to_string(batch.length) + ") (" + process_log().last_error() +
                  "), expected a plan that does; run `pocketbert build` with --rebuild");
    }
    stream_.download(logits.data() + before, memory, count * sizeof(float));
  }

  // 0 if TensorRT does not know the shape.
  static std::size_t size_of(const nvinfer1::Dims& shape) {
    if (shape.nbDims < 1) return 0;
    std::size_t size = 1;
    for (std::int32_t i = 0; i < shape.nbDims; ++i) {
      size *= shape.d[i] > 0 ? static_cast<std::size_t>(shape.d[i]) : 0;
    }
    return size;
  }

  std::vector<Profile> profiles_;  // the narrowest first; each has a context
  Stream stream_;
  std::unique_ptr<nvinfer1::IRuntime> runtime_;
  std::unique_ptr<nvinfer1::ICudaEngine> engine_;
  std::vector<std::unique_ptr<Input>> inputs_;
  std::string output_;
  mutable GpuMemory output_memory_;
  std::vector<std::unique_ptr<nvinfer1::IExecutionContext>> contexts_;
  mutable std::mutex mutex_;
};

}  // namespace

std::optional<std::string> why_no_tensorrt(const Bundle& bundle, const Target& target) {
  if (std::optional<std::string> reason = why_no_gpu()) return reason;
  if (getInferLibMajorVersion() != NV_TENSORRT_MAJOR) {
    return "the loaded TensorRT is " + loaded_version() + ", this library was built with " +
           std::to_string(NV_TENSORRT_MAJOR) + "." + std::to_string(NV_TENSORRT_MINOR);
  }
  return look_up_plan(bundle, target, place_here()).why_not;
}

std::unique_ptr<Runner> open_tensorrt(const Bundle& bundle, const Target& target, int /*threads*/) {
  enter_gpu();
  const Plan plan = look_up_plan(bundle, target, place_here());
  if (plan.why_not)
    throw Error("the target " + target.name + " cannot be opened: " + *plan.why_not);
  return std::make_unique<TensorRtRunner>(plan);
}

}  // namespace pocketbert
