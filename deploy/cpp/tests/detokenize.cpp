// For tests: prints the text of each line of ids, as JSON.
//
//     detokenize TARGET_TOKENIZER.JSON < lines

#include <cstdint>
#include <iostream>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "json_value.hpp"
#include "pocketbert.hpp"
#include "target_tokenizer.hpp"

int main(int count, char** arguments) {
  if (count != 2) return 2;
  try {
    const pocketbert::TargetTokenizer tokenizer(
        pocketbert::JsonValue::read(arguments[1], "a tokenizer", "name another"));
    for (std::string line; std::getline(std::cin, line);) {
      std::istringstream numbers(line);
      std::vector<std::int64_t> ids;
      for (std::int64_t id = 0; numbers >> id;) ids.push_back(id);
      std::cout << nlohmann::json(tokenizer.decode(ids)).dump() << '\n';
    }
  } catch (const pocketbert::Error& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
