#include "batch.hpp"

#include <algorithm>
#include <utility>

namespace pocketbert {

Batch batch_of(Encoding&& encoding) {
  const std::size_t length = encoding.ids.size();
  return {1, length, std::move(encoding.ids), std::vector<std::int64_t>(length, 1),
          std::move(encoding.type_ids)};
}

Column column_named(const std::string& input) {
  if (input == "input_ids") return &Batch::input_ids;
  if (input == "attention_mask") return &Batch::attention_mask;
  if (input == "token_type_ids") return &Batch::token_type_ids;
  throw Error("the model has an input '" + input +
              "', expected input_ids, attention_mask and token_type_ids; build the bundle again");
}

Batch padded(const std::vector<Encoding>& encodings, std::int64_t pad_id) {
  Batch batch{};
  batch.rows = encodings.size();
  for (const Encoding& encoding : encodings) {
    batch.length = std::max(batch.length, encoding.ids.size());
  }
  const std::size_t size = batch.rows * batch.length;
  batch.input_ids.reserve(size);
  batch.attention_mask.reserve(size);
  batch.token_type_ids.reserve(size);
  for (const Encoding& encoding : encodings) {
    const auto append = [](std::vector<std::int64_t>& column,
                           const std::vector<std::int64_t>& row) {
      column.insert(column.end(), row.begin(), row.end());
    };
    const std::size_t padding = batch.length - encoding.ids.size();
    append(batch.input_ids, encoding.ids);
    append(batch.token_type_ids, encoding.type_ids);
    batch.attention_mask.insert(batch.attention_mask.end(), encoding.ids.size(), 1);
    batch.input_ids.insert(batch.input_ids.end(), padding, pad_id);
    batch.token_type_ids.insert(batch.token_type_ids.end(), padding, 0);
    batch.attention_mask.insert(batch.attention_mask.end(), padding, 0);
  }
  return batch;
}

}  // namespace pocketbert
