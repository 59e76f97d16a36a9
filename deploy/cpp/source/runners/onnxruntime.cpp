// Runs an ONNX file with ONNX Runtime on the CPU.

#include <array>
#include <cstddef>
#include <string>

#include "onnxruntime_session.hpp"
#include "pocketbert.hpp"
#include "runner.hpp"

namespace pocketbert {
namespace {

class OnnxRuntimeRunner : public Runner {
 public:
  OnnxRuntimeRunner(const std::filesystem::path& file, int threads,
                    const std::vector<std::string>& disabled_optimizers)
      : session_(file, threads, disabled_optimizers) {
    if (session_.inputs().size() > kMostInputs || session_.outputs().empty()) {
      throw Error("the model has " + std::to_string(session_.inputs().size()) + " inputs and " +
                  std::to_string(session_.outputs().size()) +
                  " outputs, expected up to 3 and logits; build the bundle again");
    }
    for (const std::string& name : session_.inputs()) columns_.push_back(column_named(name));
  }

  std::vector<float> run(const Batch& batch) const override {
    std::array<onnxruntime::Tensor, kMostInputs> inputs;
    std::array<const OrtValue*, kMostInputs> values{};
    for (std::size_t i = 0; i < columns_.size(); ++i) {
      session_.wrap(batch.*columns_[i], {batch.rows, batch.length}, inputs[i]);
      values[i] = inputs[i].get();
    }
    onnxruntime::Tensor logits;
    session_.run(values.data(), logits.out(), 1);
    return onnxruntime::floats_of(logits);
  }

 private:
  static constexpr std::size_t kMostInputs = 3;

  onnxruntime::Session session_;
  std::vector<Column> columns_;  // one for each input of the model
};

}  // namespace

std::unique_ptr<Runner> open_onnxruntime(const Bundle& bundle, const Target& target, int threads) {
  return std::make_unique<OnnxRuntimeRunner>(bundle.root / target.path, threads,
                                             target.disabled_optimizers);
}

}  // namespace pocketbert
