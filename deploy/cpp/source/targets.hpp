// Which target of a bundle runs here, and why.
#pragma once

#include <string>
#include <vector>

#include "bundle.hpp"

namespace pocketbert {

struct Choice {
  Target target;
  std::string reason;
  std::vector<std::string> passed_over;  // better targets, each with why it cannot run here
};

// The target asked for, or the first that this machine can run if `name` is empty.
Choice choose_target(const Bundle& bundle, const std::string& name);

}  // namespace pocketbert
