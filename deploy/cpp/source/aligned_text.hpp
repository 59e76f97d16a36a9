// A text that normalizers change, with where each of its bytes comes from.
#pragma once

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace pocketbert {

struct ByteRange {
  std::size_t start;  // the first byte
  std::size_t end;    // behind the last one
};

// Alignments are those of Hugging Face's NormalizedString, so that offsets are the same.
class AlignedText {
 public:
  // Valid UTF-8 that nothing has changed yet.
  explicit AlignedText(std::string_view original);

  std::string_view text() const { return text_; }

  // Where bytes come from; a text that is not empty.
  ByteRange origin(std::size_t start, std::size_t end) const {
    return {origins_[start].start, origins_[end - 1].end};
  }

  AlignedText slice(std::string_view part) const;  // of text()

  // A character of a new text. With 0 it takes the place of the next one; with 1 of none, and comes
  // from where the one before comes from; with -n of the next one and of n more behind it.
  struct Change {
    char32_t character;
    int characters;
  };

  // Becomes the new characters, from the first on.
  void transform(const std::vector<Change>& changes);

  // Every character becomes some, or none, that come from where it comes from.
  void map(const std::function<std::u32string(char32_t)>& becomes);

  // What is at each place, in their order, becomes a text that comes from its last character.
  void replace(const std::vector<ByteRange>& places, std::string_view becomes);

  // Puts a text before the first character; it comes from where that comes from.
  void prepend(std::string_view text);

 private:
  AlignedText() = default;
  void append(char32_t c, ByteRange origin);

  std::string text_;
  std::vector<ByteRange> origins_;  // one for every byte
};

}  // namespace pocketbert
