// For tests: prints the tokens of many texts, one JSON object a line.
//
//     tokenize TOKENIZER.JSON MAX_LENGTH < records
//
// A record is "SIZE SECOND_SIZE\n" and the bytes of the texts; SECOND_SIZE -1 is no second text.

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <string>
#include <vector>

#include "pocketbert.hpp"

namespace {

std::string read_bytes(std::size_t size) {
  std::string bytes(size, '\0');
  std::cin.read(bytes.data(), static_cast<std::streamsize>(size));
  return bytes;
}

void print(const std::vector<std::int64_t>& numbers) {
  for (std::size_t i = 0; i < numbers.size(); ++i) std::cout << (i == 0 ? "[" : ",") << numbers[i];
  std::cout << (numbers.empty() ? "[]" : "]");
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 3) return 2;
  std::ios::sync_with_stdio(false);
  try {
    const pocketbert::Tokenizer tokenizer(arguments[1], std::stoul(arguments[2]));
    std::size_t size = 0;
    std::int64_t second_size = 0;
    while (std::cin >> size >> second_size) {
      std::cin.get();
      const std::string text = read_bytes(size);
      const pocketbert::Encoding encoding =
          second_size < 0
              ? tokenizer.encode(text)
              : tokenizer.encode(text, read_bytes(static_cast<std::size_t>(second_size)));
      std::cout << "{\"ids\":";
      print(encoding.ids);
      std::cout << ",\"type_ids\":";
      print(encoding.type_ids);
      std::cout << "}\n";
    }
  } catch (const pocketbert::Error& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
