#include "tokenizer_file.hpp"

#include <limits>
#include <optional>

namespace pocketbert {
namespace {

constexpr const char* kExpected = "a tokenizer.json with WordPiece or Unigram";
constexpr const char* kRemedy = "use a runtime of another language for this bundle";

std::int64_t id_in(const JsonValue& value) {
  return value.integer(0, std::numeric_limits<std::uint32_t>::max());
}

std::vector<AddedToken> read_added_tokens(const JsonValue& tokens) {
  std::vector<AddedToken> added;
  for (const JsonValue& token : tokens.items()) {
    if (token.at("single_word").truth()) token.at("single_word").refuse("whole words only");
    added.push_back({token.at("content").text(), id_in(token.at("id")),
                     token.at("normalized").truth(), token.at("lstrip").truth(),
                     token.at("rstrip").truth()});
  }
  return added;
}

using Kind = TemplatePart::Kind;

Template read_template(const JsonValue& parts, const JsonValue& special_tokens, bool is_pair) {
  Template read;
  for (const JsonValue& part : parts.items()) {
    if (const std::optional<JsonValue> sequence = part.find("Sequence")) {
      const bool second = sequence->at("id").one_of({"A", "B"}) == "B";
      if (second && !is_pair) sequence->refuse("the second of one text");
      read.push_back(
          {second ? Kind::second_text : Kind::first_text, id_in(sequence->at("type_id")), {}});
    } else {
      const JsonValue token = part.at("SpecialToken");
      TemplatePart special{Kind::special_tokens, id_in(token.at("type_id")), {}};
      for (const JsonValue& id : special_tokens.at(token.at("id").text()).at("ids").items()) {
        special.ids.push_back(id_in(id));
      }
      read.push_back(special);
    }
  }
  return read;
}

// The post-processor: how special tokens frame one text, and a pair.
void read_templates(const JsonValue& processor, TokenizerFile& read) {
  const TemplatePart first{Kind::first_text, 0, {}};
  const auto second = [](std::int64_t type_id) {
    return TemplatePart{Kind::second_text, type_id, {}};
  };
  if (processor.is_null()) {
    read.single = {first};
    read.pair = {first, second(1)};
    return;
  }
  const std::string type =
      processor.at("type").one_of({"TemplateProcessing", "BertProcessing", "RobertaProcessing"});
  if (type == "TemplateProcessing") {
    const JsonValue tokens = processor.at("special_tokens");
    read.single = read_template(processor.at("single"), tokens, false);
    read.pair = read_template(processor.at("pair"), tokens, true);
    return;
  }
  const auto special = [&](const char* key, std::int64_t type_id) {
    const std::vector<JsonValue> token = processor.at(key).items();
    if (token.size() != 2) processor.at(key).refuse("no token and its id");
    return TemplatePart{Kind::special_tokens, type_id, {id_in(token[1])}};
  };
  const TemplatePart start = special("cls", 0);
  const TemplatePart end = special("sep", 0);
  read.single = {start, first, end};
  read.pair = type == "BertProcessing" ? Template{start, first, end, second(1), special("sep", 1)}
                                       : Template{start, first, end, end, second(0), end};
}

std::optional<std::int64_t> id_of(const std::string& token, const TokenizerFile& read) {
  for (const AddedToken& added : read.added_tokens) {
    if (added.content == token) return added.id;
  }
  return read.model->id_of(token);
}

// A model may derive positions from the padding id (RoBERTa, MPNet): a guess would be wrong.
std::int64_t find_pad_id(const JsonValue& root, const TokenizerFile& read) {
  const std::optional<JsonValue> padding = root.find("padding");
  if (padding && !padding->is_null()) return id_in(padding->at("pad_id"));
  for (const char* token : {"[PAD]", "<pad>"}) {
    if (const std::optional<std::int64_t> id = id_of(token, read)) return *id;
  }
  root.refuse("no padding settings and neither [PAD] nor <pad>");
}

}  // namespace

TokenizerFile read_tokenizer_file(const std::filesystem::path& file) {
  return parse_tokenizer_file(JsonValue::read(file, kExpected, kRemedy));
}

TokenizerFile parse_tokenizer_file(const JsonValue& root) {
  TokenizerFile read{};
  read.normalizer = read_normalizer(root.at("normalizer"));
  read.pre_tokenizer = read_pre_tokenizer(root.at("pre_tokenizer"));
  read.model = read_token_model(root.at("model"));
  read.added_tokens = read_added_tokens(root.at("added_tokens"));
  read_templates(root.at("post_processor"), read);
  read.pad_id = find_pad_id(root, read);
  return read;
}

}  // namespace pocketbert
