// Answers the lines of the standard input, or tests a bundle on this machine.

#include <cstddef>
#include <exception>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "answer_json.hpp"
#include "pocketbert.hpp"

namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kUsage =
    "usage: pocketbert-run BUNDLE [--json] [--target NAME] [--threads N] [--batch-size N] [--beams N]\n"
    "           < lines\n"
    "       pocketbert-run --selftest BUNDLE [--target NAME]\n"
    "\n"
    "Prints one JSON object per line of the standard input, in their order. A line is a text; where\n"
    "the bundle reads pairs it is two with a tab between them, such as a question and its context.\n"
    "With --json a line is a JSON string, or a list of two, so that texts may have tabs and line\n"
    "ends: \"a text\", [\"who?\", \"a context\"].\n"
    "\n"
    "  text-classification               {\"label\", \"score\", \"probabilities\"}\n"
    "  multi-label-classification        {\"labels\", \"probabilities\"}\n"
    "  text-regression                   {\"value\"}\n"
    "  token-classification              {\"entities\": [{\"start\", \"end\", \"text\", \"label\", "
    "\"score\"}]}\n"
    "  question-answering                {\"text\", \"start\", \"end\", \"score\", \"answerable\", "
    "\"candidates\"}\n"
    "  sentence-similarity and retrieval {\"vector\"}\n"
    "  translation                       {\"text\", \"score\"}; --beams N follows N beginnings at once\n"
    "\n"
    "\"start\" and \"end\" count characters (code points), as Python does.\n"
    "Exit codes: 0 done, 1 the self-test failed, 2 an error, which is said in one sentence.\n";

enum Exit { kDone = 0, kSelftestFailed = 1, kError = 2 };

struct Command {
  std::string bundle;
  pocketbert::Options options;
  std::size_t batch_size = 1;
  bool selftest = false;
  bool json = false;
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
    } else if (argument == "--json") {
      command.json = true;
    } else if (argument == "--target") {
      command.options.target = value();
    } else if (argument == "--threads") {
      command.options.threads = number(argument, value());
    } else if (argument == "--beams") {
      command.options.beams = number(argument, value());
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

pocketbert::Text text_of_json(const std::string& line) {
  const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (json.is_string()) return json.get<std::string>();
  if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string()) {
    return {json[0].get<std::string>(), json[1].get<std::string>()};
  }
  throw pocketbert::Error("a line is no JSON string and no list of two, expected one of both with "
                          "--json; see --help");
}

// Of two texts with a tab between them, where the bundle reads pairs.
pocketbert::Text text_of_line(const std::string& line, bool pairs) {
  if (!pairs) return line;
  const std::size_t tab = line.find('\t');
  if (tab == std::string::npos) {
    throw pocketbert::Error("a line has no tab, expected two texts with one between them, because "
                            "the bundle reads pairs; or use --json");
  }
  return {line.substr(0, tab), line.substr(tab + 1)};
}

int answer_lines(const Command& command) {
  const pocketbert::Engine engine = pocketbert::Engine::open(command.bundle, command.options);
  if (!engine.passed_over().empty()) std::cerr << "pocketbert-run: " << engine.describe() << '\n';
  // Of many lines, those that are alike in length share a batch; a single one is answered at once.
  const std::size_t lines_at_once = command.batch_size == 1 ? 1 : 64 * command.batch_size;
  std::vector<pocketbert::Text> texts;
  const auto answer = [&] {
    for (const pocketbert::AnyAnswer& found : engine.answers(texts, command.batch_size)) {
      std::cout << json_of(found, engine.labels()).dump() << '\n';
    }
    std::cout.flush();
    texts.clear();
  };
  for (std::string line; std::getline(std::cin, line);) {
    texts.push_back(command.json ? text_of_json(line) : text_of_line(line, engine.pairs()));
    if (texts.size() == lines_at_once) answer();
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
    return command.selftest ? run_selftest(command) : answer_lines(command);
  } catch (const std::exception& error) {
    std::cerr << "pocketbert-run: " << error.what() << '\n';
    return kError;
  }
}
