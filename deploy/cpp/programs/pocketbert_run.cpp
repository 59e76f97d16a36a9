// Classifies the lines of the standard input, or tests a bundle on this machine.

#include <cstddef>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "pocketbert.hpp"

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kUsage =
    "usage: pocketbert-run BUNDLE [--target NAME] [--threads N] [--batch-size N] < lines\n"
    "       pocketbert-run --selftest BUNDLE [--target NAME]\n"
    "\n"
    "Prints one JSON object per line of the standard input, in their order.\n"
    "Exit codes: 0 done, 1 the self-test failed, 2 an error, which is said in one sentence.\n";

enum Exit { kDone = 0, kSelftestFailed = 1, kError = 2 };

struct Command {
  std::string bundle;
  pocketbert::Options options;
  std::size_t batch_size = 1;
  bool selftest = false;
  bool help = false;
};

int number(const std::string& option, const std::string& text) {
  constexpr int kMost = 1024;
  const bool digits = !text.empty() && text.size() <= 4 &&
                      text.find_first_not_of("0123456789") == std::string::npos;
  const int value = digits ? std::stoi(text) : 0;
  if (value < 1 || value > kMost) {
    throw pocketbert::Error(option + " is '" + text + "', expected 1 to " + std::to_string(kMost));
  }
  return value;
}

Command parse(const std::vector<std::string>& arguments) {
  Command command;
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    const auto value = [&]() -> const std::string& {
      if (i + 1 == arguments.size()) {
        throw pocketbert::Error(argument + " has no value, expected one behind it");
      }
      return arguments[++i];
    };
    if (argument == "--help") {
      command.help = true;
    } else if (argument == "--selftest") {
      command.selftest = true;
    } else if (argument == "--target") {
      command.options.target = value();
    } else if (argument == "--threads") {
      command.options.threads = number(argument, value());
    } else if (argument == "--batch-size") {
      command.batch_size = static_cast<std::size_t>(number(argument, value()));
    } else if (argument.rfind("--", 0) == 0 || !command.bundle.empty()) {
      throw pocketbert::Error("'" + argument + "' is not known, expected one bundle; see --help");
    } else {
      command.bundle = argument;
    }
  }
  if (command.bundle.empty() && !command.help) {
    throw pocketbert::Error("no bundle was named, expected its folder; see --help");
  }
  return command;
}

int run_selftest(const Command& command) {
  const pocketbert::SelftestResult result =
      pocketbert::selftest(command.bundle, command.options.target);
  Json json;
  json["passed"] = result.passed;
  json["engine"] = result.engine;
  json["texts"] = result.texts;
  json["texts_with_other_tokens"] = result.texts_with_other_tokens;
  json["max_abs_difference"] = result.max_abs_difference;
  json["tolerance"] = result.tolerance;
  std::cout << json.dump() << '\n';
  return result.passed ? kDone : kSelftestFailed;
}

void print(const pocketbert::Classification& answer, const std::vector<std::string>& labels) {
  Json json;
  json["label"] = answer.label;
  json["score"] = answer.score;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    json["probabilities"][labels[i]] = answer.probabilities[i];
  }
  std::cout << json.dump() << '\n';
}

int classify_lines(const Command& command) {
  const pocketbert::Engine engine = pocketbert::Engine::open(command.bundle, command.options);
  // Of many lines, those that are alike in length share a batch; a single one is answered at once.
  const std::size_t lines_at_once = command.batch_size == 1 ? 1 : 64 * command.batch_size;
  std::vector<std::string> lines;
  const auto answer = [&] {
    for (const auto& classification : engine.run(lines, command.batch_size)) {
      print(classification, engine.labels());
    }
    std::cout.flush();
    lines.clear();
  };
  for (std::string line; std::getline(std::cin, line);) {
    lines.push_back(line);
    if (lines.size() == lines_at_once) answer();
  }
  answer();
  return kDone;
}

}  // namespace

int main(int count, char** arguments) {
  try {
    const Command command = parse({arguments + 1, arguments + count});
    if (command.help) {
      std::cout << kUsage;
      return kDone;
    }
    return command.selftest ? run_selftest(command) : classify_lines(command);
  } catch (const std::exception& error) {
    std::cerr << "pocketbert-run: " << error.what() << '\n';
    return kError;
  }
}
