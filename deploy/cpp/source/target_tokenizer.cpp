#include "target_tokenizer.hpp"

#include <limits>
#include <map>
#include <string_view>
#include <utility>

#include "utf8.hpp"
#include "whitespace.hpp"

namespace pocketbert {
namespace {

std::int64_t id_in(const JsonValue& value) {
  return value.integer(0, std::numeric_limits<std::uint32_t>::max());
}

void replace_all(std::string& text, const std::string& part, std::string_view by) {
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at)) {
    text.replace(at, part.size(), by);
    at += by.size();
  }
}

}  // namespace

TargetTokenizer::TargetTokenizer(const JsonValue& root) {
  const JsonValue model = root.at("model");
  model.at("type").one_of({"BPE"});
  std::map<std::string, std::int64_t> ids;
  for (const auto& [token, id] : model.at("vocab").members()) ids[token] = id_in(id);
  for (const auto& [token, id] : ids) tokens_[id] = token;
  for (const JsonValue& added : root.at("added_tokens").items()) {
    std::string token = added.at("content").text();
    if (added.at("special").truth()) special_.insert(token);
    ids[token] = id_in(added.at("id"));
    tokens_[ids[token]] = std::move(token);
  }
  size_ = ids.size();
  for (const char* name : {"[PAD]", "[START]", "[END]"}) {
    if (ids.count(name) == 0) root.refuse("has no token " + std::string(name));
  }
  start_id_ = ids["[START]"];
  end_id_ = ids["[END]"];

  const JsonValue decoder = root.at("decoder");
  decoder.at("type").one_of({"Metaspace"});
  const JsonValue replacement = decoder.at("replacement");
  space_ = replacement.text();
  if (utf8::count(space_) != 1) replacement.refuse("not one character");
  begins_with_space_ =
      decoder.at("prepend_scheme").one_of({"always", "first", "never"}) != "never";
}

std::string TargetTokenizer::decode(const std::vector<std::int64_t>& ids) const {
  std::string text;
  bool is_first = true;
  for (const std::int64_t id : ids) {
    const auto found = tokens_.find(id);
    if (found == tokens_.end() || special_.count(found->second) > 0) continue;
    std::string token = found->second;
    replace_all(token, space_, is_first && begins_with_space_ ? "" : " ");
    text += token;
    is_first = false;
  }
  return std::string(stripped(text));
}

}  // namespace pocketbert
