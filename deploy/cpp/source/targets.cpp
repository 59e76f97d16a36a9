#include "targets.hpp"

#include <algorithm>

#include "cpu.hpp"
#include "pocketbert.hpp"
#include "runner.hpp"

namespace pocketbert {
namespace {

std::string joined(const std::vector<std::string>& parts, const std::string& between) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : between) + part;
  return text;
}

}  // namespace

Choice choose_target(const std::vector<Target>& targets, const std::string& name) {
  std::vector<std::string> names;
  std::vector<std::string> passed_over;
  for (const Target& target : targets) {
    names.push_back(target.name);
    if (!name.empty() && target.name != name) continue;
    const std::optional<std::string> reason = why_not_here(target);
    if (!reason) {
      std::vector<std::string> why = {name.empty() ? "the first that this machine can run"
                                                   : "asked for"};
      why.insert(why.end(), passed_over.begin(), passed_over.end());
      return {target, joined(why, "; ")};
    }
    passed_over.push_back(target.name + " cannot run here: " + *reason);
  }
  if (passed_over.empty()) {
    throw Error("the bundle has no target '" + name + "', expected one of: " + joined(names, ", "));
  }
  throw Error(joined(passed_over, "; ") +
              "; take the bundle to a machine that can, or compile for this machine (compile.isa "
              "and compile.target in the recipe)");
}

std::optional<std::string> why_not_here(const Target& target) {
  std::vector<std::string> available = available_isas();
  if (std::find(available.begin(), available.end(), target.isa) == available.end()) {
    available.pop_back();  // "any"
    return "it was compiled for " + target.isa + ", this processor has " +
           (available.empty() ? "none of the known instruction sets" : joined(available, ", "));
  }
  if (runtime_named(target.runtime) == nullptr) {
    return "this library was built without " + target.runtime;
  }
  return std::nullopt;
}

}  // namespace pocketbert
