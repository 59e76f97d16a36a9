// For tests: prints the tokens of many texts, one JSON object a line.
//
//     tokenize TOKENIZER.JSON MAX_LENGTH [KEEP [WINDOW_OVERLAP]] < records
//
// KEEP is head, tail, head+tail or windows; of windows every one is a line. With `tokens` the line
// has no special tokens, and for every token its first character, the one behind its last, and the
// number of its word.
// A record is "SIZE SECOND_SIZE\n" and the bytes of the texts; SECOND_SIZE -1 is no second text.

#include <cstddef>
#include <cstdint>
#include <iostream>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "pocketbert.hpp"
#include "tokenizer.hpp"
#include "tokens.hpp"
#include "utf8.hpp"

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

void print_tokens(const pocketbert::Tokenizer::Parts& tokenizer, const std::string& bytes) {
  const std::string text = pocketbert::utf8::replace_invalid(bytes);
  const auto characters_before = [&](std::size_t byte) {
    return pocketbert::utf8::count(std::string_view(text).substr(0, byte));
  };
  std::cout << "[";
  const char* before = "[";
  for (const pocketbert::Token& token : pocketbert::tokens_of(tokenizer, text)) {
    std::cout << before << token.id << "," << characters_before(token.bytes.start) << ","
              << characters_before(token.bytes.end) << "," << token.word << "]";
    before = ",[";
  }
  std::cout << "]\n";
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3 || count > 5) return 2;
  std::ios::sync_with_stdio(false);
  try {
    const bool only_tokens = count > 3 && std::string(arguments[3]) == "tokens";
    const std::size_t max_length = std::stoul(arguments[2]);
    const pocketbert::Tokenizer::Parts parts(pocketbert::read_tokenizer_file(arguments[1]),
                                             max_length, {});
    const pocketbert::Tokenizer tokenizer(arguments[1], max_length,
                                           only_tokens ? pocketbert::Truncation()
                                                       : truncation_of(count, arguments));
    std::size_t size = 0;
    std::int64_t second_size = 0;
    while (std::cin >> size >> second_size) {
      std::cin.get();
      const std::string text = read_bytes(size);
      if (only_tokens) {
        print_tokens(parts, text);
        continue;
      }
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
