#include "context_windows.hpp"

#include <algorithm>
#include <string>
#include <utility>

namespace pocketbert {
namespace {

// Tokens before the context, of a window with so many of the question.
std::size_t tokens_before(const Template& parts, std::size_t question) {
  std::size_t count = 0;
  for (const TemplatePart& part : parts) {
    if (part.kind == TemplatePart::Kind::second_text) break;
    count += part.kind == TemplatePart::Kind::first_text ? question : part.ids.size();
  }
  return count;
}

}  // namespace

std::vector<Window> windows_of(const Tokenizer::Parts& tokenizer,
                               std::vector<std::int64_t> question,
                               const std::vector<std::int64_t>& context) {
  question.resize(std::min(question.size(), tokenizer.max_length / 2));
  const std::size_t others = question.size() + special_tokens_in(tokenizer.pair);
  if (others >= tokenizer.max_length) {
    throw Error("the longest input is " + std::to_string(tokenizer.max_length) +
                " tokens, of which question and special tokens take " + std::to_string(others) +
                ", expected room for the context; raise task.max_length");
  }
  const std::size_t room = tokenizer.max_length - others;
  // A long question leaves less to share.
  const std::size_t shared = std::min(tokenizer.truncation.window_overlap, room / 2);
  const std::size_t beyond = context.size() > shared ? context.size() - shared : 0;
  const std::size_t position = tokens_before(tokenizer.pair, question.size());
  std::vector<Window> windows;
  for (std::size_t first = 0; first < std::max<std::size_t>(beyond, 1); first += room - shared) {
    const std::size_t tokens = std::min(room, context.size() - first);
    const auto begin = context.begin() + static_cast<std::ptrdiff_t>(first);
    Encoding encoding =
        assembled(tokenizer.pair, question, {begin, begin + static_cast<std::ptrdiff_t>(tokens)});
    windows.push_back({std::move(encoding), position, first, tokens});
  }
  return windows;
}

std::ptrdiff_t room_around(const Window& window, std::size_t token) {
  const auto before = static_cast<std::ptrdiff_t>(token) - static_cast<std::ptrdiff_t>(window.first);
  const auto behind = static_cast<std::ptrdiff_t>(window.tokens) - 1 - before;
  return std::max<std::ptrdiff_t>(-1, std::min(before, behind));
}

}  // namespace pocketbert
