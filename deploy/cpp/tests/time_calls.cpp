// For benchmarks/cpp.py: what a call costs beyond ONNX Runtime's own with the same tokens.
//
//     time_calls BUNDLE ROUNDS < lines
//
// Prints one JSON object a line of input, medians over the rounds in microseconds: a call of the
// bare session with inputs made before, a call of the engine, the tokenizer alone, and what is left
// of the engine's call without these two, round by round.

#include <onnxruntime_c_api.h>
#include <onnxruntime_session_options_config_keys.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>
#include <vector>

#include "engine.hpp"
#include "targets.hpp"

namespace {

using Clock = std::chrono::steady_clock;

const OrtApi& api() { return *OrtGetApiBase()->GetApi(ORT_API_VERSION); }

void check(OrtStatus* status) {
  if (status != nullptr) throw pocketbert::Error(api().GetErrorMessage(status));
}

// A session as small as a program could write it; nothing is given back before the end.
class BareSession {
 public:
  BareSession(const std::string& path, const pocketbert::Target& target) {
    OrtEnv* environment = nullptr;
    OrtSessionOptions* options = nullptr;
    check(api().CreateEnv(ORT_LOGGING_LEVEL_ERROR, "bare", &environment));
    check(api().CreateSessionOptions(&options));
    check(api().SetIntraOpNumThreads(options, target.threads));
    check(api().SetInterOpNumThreads(options, 1));
    std::string disabled;
    for (const std::string& name : target.disabled_optimizers) disabled += name + ";";
    check(api().AddSessionConfigEntry(options, kOrtSessionOptionsDisableSpecifiedOptimizers,
                                      disabled.c_str()));
    check(api().CreateSession(environment, path.c_str(), options, &session_));
    check(api().CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory_));
    check(api().SessionGetInputCount(session_, &inputs_));
  }

  void prepare(pocketbert::Batch& batch) {
    const std::array<std::int64_t, 2> shape = {1, static_cast<std::int64_t>(batch.length)};
    const std::array<std::vector<std::int64_t>*, 3> columns = {
        &batch.input_ids, &batch.attention_mask, &batch.token_type_ids};
    for (std::size_t i = 0; i < columns.size(); ++i) {
      check(api().CreateTensorWithDataAsOrtValue(
          memory_, columns[i]->data(), columns[i]->size() * sizeof(std::int64_t), shape.data(),
          shape.size(), ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64, &values_[i]));
    }
  }

  void run() {
    constexpr std::array<const char*, 3> kInputs = {"input_ids", "attention_mask",
                                                    "token_type_ids"};
    const char* const output_name = "logits";
    OrtValue* output = nullptr;
    check(api().Run(session_, nullptr, kInputs.data(), values_.data(), inputs_, &output_name, 1,
                    &output));
    api().ReleaseValue(output);
  }

 private:
  OrtSession* session_ = nullptr;
  OrtMemoryInfo* memory_ = nullptr;
  std::array<OrtValue*, 3> values_{};
  std::size_t inputs_ = 0;
};

template <typename Call>
double time_us(Call call) {
  const auto start = Clock::now();
  call();
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void time_line(const std::string& line, std::size_t rounds, const pocketbert::Engine& engine,
               const pocketbert::Tokenizer& tokenizer, BareSession& session) {
  const pocketbert::Encoding encoding = tokenizer.encode(line);
  const std::size_t length = encoding.ids.size();
  pocketbert::Batch batch{1, length, encoding.ids, std::vector<std::int64_t>(length, 1),
                          encoding.type_ids};
  session.prepare(batch);
  const auto call_engine = [&] { engine.run(line); };
  const auto call_session = [&] { session.run(); };
  const auto call_tokenizer = [&] { tokenizer.encode(line); };
  std::vector<double> engine_us, session_us, tokenizer_us, overhead_us;
  for (std::size_t round = 0; round < rounds; ++round) {
    // Each program runs once before: so the caches hold what they hold where it is alone.
    call_engine();
    engine_us.push_back(time_us(call_engine));
    call_tokenizer();
    call_session();
    tokenizer_us.push_back(time_us(call_tokenizer));
    session_us.push_back(time_us(call_session));
    overhead_us.push_back(engine_us.back() - session_us.back() - tokenizer_us.back());
  }
  std::cout << "{\"tokens\":" << length << ",\"session_us\":" << median(session_us)
            << ",\"engine_us\":" << median(engine_us) << ",\"overhead_us\":" << median(overhead_us)
            << ",\"tokenizer_us\":" << median(tokenizer_us) << "}\n";
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const pocketbert::Bundle bundle = pocketbert::read_bundle(arguments[1]);
  const auto target = pocketbert::choose_target(bundle, "").target;
  const pocketbert::Engine engine = pocketbert::Engine::open(arguments[1]);
  const pocketbert::Tokenizer tokenizer(bundle.root / pocketbert::kTokenizerFile,
                                        bundle.manifest.max_length);
  BareSession session((bundle.root / target.path).string(), target);
  for (std::string line; std::getline(std::cin, line);) {
    time_line(line, std::stoul(arguments[2]), engine, tokenizer, session);
  }
  return 0;
}
