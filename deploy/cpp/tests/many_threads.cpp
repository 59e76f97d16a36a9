// For tests: several threads ask one engine and its copies; every answer has to be the same.
//
//     many_threads BUNDLE THREADS ROUNDS < lines

#include <atomic>
#include <cstddef>
#include <iostream>
#include <string>
#include <thread>
#include <vector>

#include "pocketbert.hpp"

int main(int count, char** arguments) {
  if (count != 4) return 2;
  const pocketbert::Engine engine = pocketbert::Engine::open(arguments[1]);
  std::vector<std::string> texts;
  for (std::string line; std::getline(std::cin, line);) texts.push_back(line);
  const std::vector<std::vector<float>> expected = engine.logits(texts);

  std::atomic<std::size_t> answers{0};
  std::atomic<std::size_t> others{0};
  const int rounds = std::stoi(arguments[3]);
  const auto ask = [&, copy = engine] {
    for (int round = 0; round < rounds; ++round) {
      const std::vector<std::vector<float>> found = copy.logits(texts);
      for (std::size_t i = 0; i < texts.size(); ++i) {
        ++answers;
        if (found[i] != expected[i]) ++others;
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < std::stoi(arguments[2]); ++i) threads.emplace_back(ask);
  for (std::thread& thread : threads) thread.join();
  std::cout << "{\"answers\":" << answers << ",\"others\":" << others << "}\n";
  return others == 0 ? 0 : 1;
}
