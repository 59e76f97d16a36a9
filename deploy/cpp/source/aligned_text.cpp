#include "aligned_text.hpp"

#include <utility>

#include "utf8.hpp"

namespace pocketbert {

AlignedText::AlignedText(std::string_view original) : text_(original) {
  origins_.reserve(text_.size());
  for (std::size_t position = 0; position < text_.size();) {
    const std::size_t start = position;
    utf8::next(text_, position);
    origins_.resize(position, ByteRange{start, position});
  }
}

AlignedText AlignedText::slice(std::string_view part) const {
  AlignedText sliced;
  sliced.text_ = part;
  const auto first = origins_.begin() + (part.data() - text_.data());
  sliced.origins_.assign(first, first + static_cast<std::ptrdiff_t>(part.size()));
  return sliced;
}

void AlignedText::transform(const std::vector<Change>& changes) {
  AlignedText changed;
  std::size_t position = 0;
  const auto take = [&] {
    if (position < text_.size()) utf8::next(text_, position);
  };
  for (const Change& change : changes) {
    ByteRange origin{0, 0};
    if (change.characters > 0 || position == text_.size()) {
      if (position > 0) origin = origins_[position - 1];
    } else {
      origin = origins_[position];
      for (int taken = 0; taken <= -change.characters; ++taken) take();
    }
    changed.append(change.character, origin);
  }
  *this = std::move(changed);
}

void AlignedText::map(const std::function<std::u32string(char32_t)>& becomes) {
  AlignedText changed;
  for (std::size_t position = 0; position < text_.size();) {
    const ByteRange origin = origins_[position];
    for (const char32_t c : becomes(utf8::next(text_, position))) changed.append(c, origin);
  }
  *this = std::move(changed);
}

void AlignedText::replace(const std::vector<ByteRange>& places, std::string_view becomes) {
  AlignedText changed;
  std::size_t done = 0;
  const auto copy_until = [&](std::size_t end) {
    const AlignedText between = slice(text().substr(done, end - done));
    changed.text_ += between.text_;
    changed.origins_.insert(changed.origins_.end(), between.origins_.begin(),
                            between.origins_.end());
  };
  for (const ByteRange& place : places) {
    copy_until(place.start);
    changed.text_ += becomes;
    changed.origins_.resize(changed.text_.size(), origins_[place.end - 1]);
    done = place.end;
  }
  copy_until(text_.size());
  *this = std::move(changed);
}

void AlignedText::prepend(std::string_view text) {
  if (text_.empty()) return;
  text_.insert(0, text);
  const ByteRange origin = origins_[0];
  origins_.insert(origins_.begin(), text.size(), origin);
}

void AlignedText::append(char32_t c, ByteRange origin) {
  utf8::append(c, text_);
  origins_.resize(text_.size(), origin);
}

}  // namespace pocketbert
