#include "targets.hpp"

#include <algorithm>
#include <optional>

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

// Why this machine cannot run a target; nullopt if it can.
std::optional<std::string> why_not_here(const Bundle& bundle, const Target& target) {
  std::vector<std::string> available = available_isas();
  if (std::find(available.begin(), available.end(), target.isa) == available.end()) {
    available.pop_back();  // "any"
    return "it was compiled for " + target.isa + ", this processor has " +
           (available.empty() ? "none of the known instruction sets" : joined(available, ", "));
  }
  return runtime_named(target.runtime).why_not(bundle, target);
}

}  // namespace

Choice choose_target(const Bundle& bundle, const std::string& name) {
  std::vector<std::string> names;
  std::vector<std::string> passed_over;
  for (const Target& target : bundle.manifest.targets) {
    names.push_back(target.name);
    if (!name.empty() && target.name != name) continue;
    const std::optional<std::string> reason = why_not_here(bundle, target);
    if (!reason) {
      std::vector<std::string> why = {name.empty() ? "the first that this machine can run"
                                                   : "asked for"};
      why.insert(why.end(), passed_over.begin(), passed_over.end());
      return {target, joined(why, "; "), passed_over};
    }
    passed_over.push_back(target.name + " cannot run here: " + *reason);
  }
  if (passed_over.empty()) {
    throw Error("the bundle has no target '" + name + "', expected one of: " + joined(names, ", "));
  }
  throw Error(
      joined(passed_over, "; ") +
      "; take the bundle to a machine that can, install what is missing, or compile for this "
      "machine (compile.isa and compile.target in the recipe)");
}

}  // namespace pocketbert
