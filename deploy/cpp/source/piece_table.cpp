#include "piece_table.hpp"

#include <limits>

#include "pocketbert.hpp"

namespace pocketbert {
namespace {

// FNV-1a, whose lower bits take in every byte.
std::uint32_t hash_of(std::string_view piece) {
  std::uint32_t hash = 2166136261U;
  for (const char byte : piece) hash = (hash ^ static_cast<unsigned char>(byte)) * 16777619U;
  return hash ^ hash >> 15U;
}

}  // namespace

PieceTable::PieceTable(const std::vector<Entry>& entries) {
  std::size_t size = 1;
  while (size < 2 * entries.size() + 1) size *= 2;
  slots_.resize(size);
  for (const Entry& entry : entries) {
    if (!entry.piece.empty()) insert(entry);
  }
}

void PieceTable::insert(const Entry& entry) {
  if (texts_.size() + entry.piece.size() > std::numeric_limits<std::uint32_t>::max()) {
    throw Error("the vocabulary is larger than 4 GiB, expected less; build the bundle again");
  }
  const std::uint32_t hash = hash_of(entry.piece);
  std::size_t place = hash & (slots_.size() - 1);
  while (slots_[place].bytes != 0) place = (place + 1) & (slots_.size() - 1);
  slots_[place] = {hash, static_cast<std::uint32_t>(texts_.size()),
                   static_cast<std::uint32_t>(entry.piece.size()), entry.id};
  texts_ += entry.piece;
}

std::optional<std::uint32_t> PieceTable::find(std::string_view piece) const {
  const std::uint32_t hash = hash_of(piece);
  for (std::size_t place = hash & (slots_.size() - 1); slots_[place].bytes != 0;
       place = (place + 1) & (slots_.size() - 1)) {
    const Slot& slot = slots_[place];
    if (slot.hash == hash && piece == std::string_view(texts_).substr(slot.start, slot.bytes)) {
      return slot.id;
    }
  }
  return std::nullopt;
}

}  // namespace pocketbert
