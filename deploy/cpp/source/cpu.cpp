#include "cpu.hpp"

#include <sys/utsname.h>

#include <fstream>
#include <iterator>
#include <sstream>

namespace pocketbert {
namespace {

bool has_vnni(const std::string& cpuinfo) {
  std::istringstream words(cpuinfo);
  for (std::string word; words >> word;) {
    if (word == "avx512_vnni" || word == "avx_vnni") return true;
  }
  return false;
}

}  // namespace

std::vector<std::string> available_isas() {
  utsname system{};
  uname(&system);
  std::ifstream file("/proc/cpuinfo");
  const std::string cpuinfo{std::istreambuf_iterator<char>(file), {}};
  return isas_of(system.machine, cpuinfo);
}

std::vector<std::string> isas_of(const std::string& machine, const std::string& cpuinfo) {
  if (machine == "aarch64" || machine == "arm64") return {"arm64", "any"};
  if (machine != "x86_64" && machine != "amd64") return {"any"};
  if (has_vnni(cpuinfo)) return {"x86_64_vnni", "x86_64", "any"};
  return {"x86_64", "any"};
}

}  // namespace pocketbert
