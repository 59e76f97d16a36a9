// Writes texts with ONNX Runtime on the CPU: the encoder's file, and the decoder's beside it.

#include <algorithm>
#include <array>
#include <cstddef>
#include <string>
#include <utility>

#include "onnxruntime_session.hpp"
#include "pocketbert.hpp"
#include "runner.hpp"
#include "steps.hpp"

namespace pocketbert {
namespace {

constexpr const char* kDecoderFile = "decoder.onnx";
constexpr std::size_t kInputs = 4;
constexpr std::array<const char*, kInputs> kInputNames = {"tokens", "attention_mask", "read",
                                                          "written"};
constexpr std::size_t kWritten = 3;           // its place among them
constexpr std::int64_t kMostOfAKind = 65536;  // layers, heads, numbers of a head

// The cache of one token is (layers, 2, heads, size).
struct CacheShape {
  std::size_t layers;
  std::size_t heads;
  std::size_t size;

  std::size_t floats() const { return layers * 2 * heads * size; }
};

CacheShape cache_shape_in(const std::vector<std::int64_t>& dimensions) {
  const auto fits = [&](std::size_t place) {
    return dimensions[place] >= 1 && dimensions[place] <= kMostOfAKind;
  };
  if (dimensions.size() != 6 || !fits(1) || dimensions[2] != 2 || !fits(3) || !fits(5)) {
    throw Error("the decoder's cache is of an unknown shape, expected (rows, layers, 2, heads, "
                "tokens, size); build the bundle again");
  }
  const auto at = [&](std::size_t place) { return static_cast<std::size_t>(dimensions[place]); };
  return {at(1), at(3), at(5)};
}

class OnnxRuntimeSteps : public Steps {
 public:
  OnnxRuntimeSteps(std::unique_ptr<Runner> encoder, const std::filesystem::path& decoder,
                   int threads, const std::vector<std::string>& disabled_optimizers)
      : encoder_(std::move(encoder)),
        decoder_(decoder, threads, disabled_optimizers),
        places_(places_of_inputs()),
        cache_(cache_shape_in(decoder_.shape_of_input(places_[kWritten]))) {}

  std::vector<float> read(const Batch& batch) const override {
    std::vector<float> read = encoder_->run(batch);
    const std::size_t tokens = batch.rows * batch.length;
    if (tokens == 0 || read.size() % tokens != 0 || read.size() / tokens != cache_.floats()) {
      throw Error("the encoder gives " + std::to_string(read.size()) + " numbers for " +
                  std::to_string(tokens) + " tokens, expected " +
                  std::to_string(cache_.floats()) + " for each; build the bundle again");
    }
    return read;
  }

  std::vector<float> step(Beginnings& now) const override {
    std::array<onnxruntime::Tensor, kInputs> inputs;
    decoder_.wrap(now.last, {now.rows, 1}, inputs[0]);
    decoder_.wrap(now.mask, {now.rows, now.length}, inputs[1]);
    wrap_cache(now.read, now.rows, now.length, inputs[2]);
    wrap_cache(now.cache, now.rows, now.written, inputs[kWritten]);
    std::array<const OrtValue*, kInputs> values{};
    for (std::size_t i = 0; i < kInputs; ++i) values[places_[i]] = inputs[i].get();

    onnxruntime::Tensor logits;
    onnxruntime::Tensor longer;
    std::vector<float> cache(now.rows * (now.written + 1) * cache_.floats());
    wrap_cache(cache, now.rows, now.written + 1, longer);
    std::array<OrtValue*, 2> outputs = {nullptr, longer.get()};
    decoder_.run(values.data(), outputs.data(), outputs.size());
    *logits.out() = outputs[0];
    now.cache = std::move(cache);
    ++now.written;
    return onnxruntime::floats_of(logits);
  }

 private:
  std::array<std::size_t, kInputs> places_of_inputs() const {
    const std::vector<std::string>& found = decoder_.inputs();
    std::array<std::size_t, kInputs> places{};
    for (std::size_t i = 0; i < kInputs; ++i) {
      const auto place = std::find(found.begin(), found.end(), kInputNames[i]);
      if (place == found.end() || found.size() != kInputs || decoder_.outputs().size() != 2) {
        throw Error("the decoder has other inputs or outputs, expected tokens, attention_mask, "
                    "read and written, logits and a longer cache; build the bundle again");
      }
      places[i] = static_cast<std::size_t>(place - found.begin());
    }
    return places;
  }

  void wrap_cache(const std::vector<float>& numbers, std::size_t rows, std::size_t tokens,
                  onnxruntime::Tensor& tensor) const {
    decoder_.wrap(numbers, {rows, cache_.layers, 2, cache_.heads, tokens, cache_.size}, tensor);
  }

  std::unique_ptr<const Runner> encoder_;
  onnxruntime::Session decoder_;
  std::array<std::size_t, kInputs> places_;  // where the graph has each of kInputNames
  CacheShape cache_;
};

}  // namespace

std::unique_ptr<const Steps> open_onnxruntime_steps(const Bundle& bundle, const Target& target,
                                                    int threads) {
  const std::filesystem::path encoder = bundle.root / target.path;
  return std::make_unique<OnnxRuntimeSteps>(open_onnxruntime(bundle, target, threads),
                                            encoder.parent_path() / kDecoderFile, threads,
                                            target.disabled_optimizers);
}

}  // namespace pocketbert
