// For tests: looks for a target's plan as if on a made-up device; prints its file, or why it cannot
// be opened.
//
//     find_plan BUNDLE TARGET DEVICE CAPABILITY TENSORRT RELEASE_FILE
//
// A line "ROWS LENGTH" on stdin is answered with the number of the profile that takes such inputs.

#include <algorithm>
#include <iostream>

#include "plans.hpp"
#include "pocketbert.hpp"

int main(int count, char** arguments) {
  if (count != 7) return 2;
  try {
    const pocketbert::Bundle bundle = pocketbert::read_bundle(arguments[1]);
    const std::vector<pocketbert::Target>& targets = bundle.manifest.targets;
    const auto target = std::find_if(targets.begin(), targets.end(),
                                     [&](const auto& one) { return one.name == arguments[2]; });
    if (target == targets.end()) return 2;
    const pocketbert::Plan plan = pocketbert::look_up_plan(
        bundle, *target,
        {arguments[3], arguments[4], arguments[5], pocketbert::read_l4t(arguments[6])});
    std::cout << (plan.why_not ? *plan.why_not : plan.file.string()) << '\n';
    for (std::size_t rows = 0, length = 0; std::cin >> rows >> length;) {
      std::cout << pocketbert::profile_of(rows, length, plan.profiles) << '\n';
    }
  } catch (const pocketbert::Error& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
