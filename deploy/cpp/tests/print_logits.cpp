// For tests: prints the logits of many texts, one JSON array a text.
//
//     print_logits BUNDLE [TARGET] < records
//
// A record is "SIZE\n" and the bytes of the text.

#include <cstddef>
#include <iostream>
#include <limits>
#include <string>
#include <vector>

#include "pocketbert.hpp"

int main(int count, char** arguments) {
  if (count < 2 || count > 3) return 2;
  try {
    pocketbert::Options options;
    if (count == 3) options.target = arguments[2];
    const pocketbert::Engine engine = pocketbert::Engine::open(arguments[1], options);
    std::cout.precision(std::numeric_limits<float>::max_digits10);
    for (std::size_t size = 0; std::cin >> size;) {
      std::cin.get();
      std::string text(size, '\0');
      std::cin.read(text.data(), static_cast<std::streamsize>(size));
      const std::vector<std::vector<float>> logits = engine.logits({text});
      const char* before = "[";
      for (const float logit : logits[0]) {
        std::cout << before << logit;
        before = ",";
      }
      std::cout << "]" << std::endl;
    }
  } catch (const pocketbert::Error& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
