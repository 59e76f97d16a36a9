// Texts as a model reads them together.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "pocketbert.hpp"

namespace pocketbert {

// Each row is padded to the longest; all three are (rows, length).
struct Batch {
  std::size_t rows;
  std::size_t length;
  std::vector<std::int64_t> input_ids;
  std::vector<std::int64_t> attention_mask;
  std::vector<std::int64_t> token_type_ids;
};

// The column that an input of a model is.
using Column = std::vector<std::int64_t> Batch::*;
Column column_named(const std::string& input);

// One text, whose tokens are not copied.
Batch batch_of(Encoding&& encoding);

// Padded at the end to the longest text.
Batch padded(const std::vector<Encoding>& encodings, std::int64_t pad_id);

}  // namespace pocketbert
