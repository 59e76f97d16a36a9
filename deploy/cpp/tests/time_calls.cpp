// For benchmarks/cpp.py: times a call of the engine, the tokenizer, and the bare session in turns.
//
//     time_calls BUNDLE ROUNDS < lines
//
// Prints one JSON object a line of input: medians over the rounds, in microseconds.

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <iostream>
#include <string>
#include <vector>

#include "engine.hpp"

namespace {

using Clock = std::chrono::steady_clock;

double elapsed_us(Clock::time_point start) {
  return std::chrono::duration<double, std::micro>(Clock::now() - start).count();
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  const std::size_t rounds = std::stoul(arguments[2]);
  const pocketbert::Engine engine = pocketbert::Engine::open(arguments[1]);
  const auto parts =
      pocketbert::Engine::Parts::open(pocketbert::read_bundle(arguments[1]), pocketbert::Options{});
  for (std::string line; std::getline(std::cin, line);) {
    const pocketbert::Encoding encoding = parts->tokenizer.encode(line);
    const std::size_t length = encoding.ids.size();
    const pocketbert::Batch batch{1, length, encoding.ids, std::vector<std::int64_t>(length, 1),
                                  encoding.type_ids};
    std::vector<double> engine_us, tokenizer_us, session_us, overhead_us;
    for (std::size_t round = 0; round < rounds; ++round) {
      auto start = Clock::now();
      parts->runner->run(batch);
      session_us.push_back(elapsed_us(start));
      start = Clock::now();
      engine.run(line);
      engine_us.push_back(elapsed_us(start));
      start = Clock::now();
      parts->tokenizer.encode(line);
      tokenizer_us.push_back(elapsed_us(start));
      overhead_us.push_back(engine_us.back() - session_us.back());
    }
    std::cout << "{\"tokens\":" << length << ",\"engine_us\":" << median(engine_us)
              << ",\"session_us\":" << median(session_us)
              << ",\"tokenizer_us\":" << median(tokenizer_us)
              << ",\"overhead_us\":" << median(overhead_us) << "}\n";
  }
  return 0;
}
