// For tests: prints the tokens of many texts, one JSON object a line.
//
//     tokenize TOKENIZER.JSON MAX_LENGTH [KEEP [WINDOW_OVERLAP]] < records
//
// KEEP is head, tail, head+tail or windows; of windows every one is a line.
// A record is "SIZE SECOND_SIZE\n" and the bytes of the texts; SECOND_SIZE -1 is no second text.

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "pocketbert.hpp"

namespace {

std::string read_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  std::cin.read(bytes.data(), static_cast<std::streamsize>(size));
  return bytes;
}

pocketbert::Truncation truncation_of(int count, char** arguments) {
  const std::map<std::string, pocketbert::Truncation::Keep> keeps = {
      {"head", pocketbert::Truncation::Keep::head},
      {"tail", pocketbert::Truncation::Keep::tail},
      {"head+tail", pocketbert::Truncation::Keep::head_and_tail},
      {"windows", pocketbert::Truncation::Keep::windows}};
  pocketbert::Truncation truncation;
  if (count > 3) truncation.keep = keeps.at(arguments[3]);
  if (count > 4) truncation.window_overlap = std::stoul(arguments[4]);
  return truncation;
}

void print(const std::vector<std::int64_t>& numbers) {
  for (std::size_t i = 0; i < numbers.size(); ++i) std::cout << (i == 0 ? "[" : ",") << numbers[i];
  std::cout << (numbers.empty() ? "[]" : "]");
}

void print(const pocketbert::Encoding& encoding) {
  std::cout << "{\"ids\":";
  print(encoding.ids);
  std::cout << ",\"type_ids\":";
  print(encoding.type_ids);
  std::cout << "}\n";
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3 || count > 5) return 2;
  std::ios::sync_with_stdio(false);
  try {
    const pocketbert::Tokenizer tokenizer(arguments[1], std::stoul(arguments[2]),
                                           truncation_of(count, arguments));
    std::size_t size = 0;
    std::int64_t second_size = 0;
    while (std::cin >> size >> second_size) {
      std::cin.get();
      const std::string text = read_bytes(size);
      if (second_size >= 0) {
        print(tokenizer.encode(text, read_bytes(static_cast<std::size_t>(second_size))));
        continue;
      }
      for (const pocketbert::Encoding& window : tokenizer.windows(text)) print(window);
    }
  } catch (const pocketbert::Error& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
