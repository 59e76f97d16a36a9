// Which layouts of a model this machine's processor runs correctly and fast.
#pragma once

#include <string>
#include <vector>

namespace pocketbert {

// Instruction sets of this machine, the best first.
std::vector<std::string> available_isas();

// `machine` is what uname says, `cpuinfo` the content of Linux' /proc/cpuinfo. VNNI is only
// believed where the kernel says so: without it, products of 8-bit weights saturate.
std::vector<std::string> isas_of(const std::string& machine, const std::string& cpuinfo);

}  // namespace pocketbert
