// Tokens of the language that is written, back to text; the Python side is
// compress/target_tokenizer.py, which also learns them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "json_value.hpp"

namespace pocketbert {

class TargetTokenizer {
 public:
  // Of a tokenizer.json with byte-pair encoding and Metaspace.
  explicit TargetTokenizer(const JsonValue& root);

  // Special tokens are left out, as is whitespace at both ends.
  std::string decode(const std::vector<std::int64_t>& ids) const;

  std::int64_t start_id() const { return start_id_; }  // what a decoder reads first
  std::int64_t end_id() const { return end_id_; }      // what it writes last
  std::size_t size() const { return size_; }           // how many tokens there are

 private:
  std::unordered_map<std::int64_t, std::string> tokens_;  // by their ids
  std::set<std::string> special_;
  std::string space_;  // what stands for one in a token
  bool begins_with_space_;
  std::size_t size_;
  std::int64_t start_id_;
  std::int64_t end_id_;
};

}  // namespace pocketbert
