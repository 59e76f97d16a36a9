// Which target of a bundle runs here, and why.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "manifest.hpp"

namespace pocketbert {

struct Choice {
  Target target;
  std::string reason;
};

// The target asked for, or the first that this machine can run if `name` is empty.
Choice choose_target(const std::vector<Target>& targets, const std::string& name);

// Why this machine cannot run a target; nullopt if it can.
std::optional<std::string> why_not_here(const Target& target);

}  // namespace pocketbert
