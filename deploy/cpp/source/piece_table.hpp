// Looks up the pieces of a vocabulary, made so that a lookup misses the caches as seldom as it can.
//
// Between two texts the model's weights push the vocabulary out of the caches, so that a lookup
// costs as much as it waits for memory: one place of one array here, where a std::unordered_map
// follows pointers to three.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pocketbert {

class PieceTable {
 public:
  struct Entry {
    std::string_view piece;
    std::uint32_t id;
  };

  // Pieces are unlike each other; an empty one is not found.
  explicit PieceTable(const std::vector<Entry>& entries);

  std::optional<std::uint32_t> find(std::string_view piece) const;

 private:
  // Four of them share a cache line. Free if `bytes` is 0.
  struct Slot {
    std::uint32_t hash;
    std::uint32_t start;  // of the piece in texts_
    std::uint32_t bytes;
    std::uint32_t id;
  };

  void insert(const Entry& entry);

  std::string texts_;
  std::vector<Slot> slots_;  // a power of two, half of them free or more
};

}  // namespace pocketbert
