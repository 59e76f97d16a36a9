#include <map>
#include <string>

#include "runner.hpp"

namespace pocketbert {

OpenTarget runtime_named(const std::string& name) {
  static const std::map<std::string, OpenTarget> kRuntimes = {
      {"onnxruntime", &open_onnxruntime},
  };
  const auto found = kRuntimes.find(name);
  return found == kRuntimes.end() ? nullptr : found->second;
}

}  // namespace pocketbert
