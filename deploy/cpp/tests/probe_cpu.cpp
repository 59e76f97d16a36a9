// For tests: prints what `isas_of` makes of a machine's name and the /proc/cpuinfo on stdin.

#include <iostream>
#include <iterator>
#include <string>

#include "cpu.hpp"

int main(int count, char** arguments) {
  if (count != 2) return 2;
  const std::string cpuinfo{std::istreambuf_iterator<char>(std::cin), {}};
  for (const std::string& isa : pocketbert::isas_of(arguments[1], cpuinfo))
    std::cout << isa << '\n';
  return 0;
}
