#include "json_value.hpp"

#include <algorithm>
#include <cstddef>
#include <nlohmann/json.hpp>

#include "files.hpp"
#include "pocketbert.hpp"

namespace pocketbert {

struct JsonValue::Document {
  nlohmann::json root;
  std::string name;
  std::string expected;
  std::string remedy;
};

JsonValue JsonValue::read(const std::filesystem::path& file, std::string expected,
                          std::string remedy) {
  return parse(read_file(file), file.string(), std::move(expected), std::move(remedy));
}

JsonValue JsonValue::parse(const std::string& text, std::string name, std::string expected,
                           std::string remedy) {
  auto document = std::make_shared<Document>();
  document->root = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (document->root.is_discarded()) {
    throw Error(name + " is not JSON, expected " + expected + "; " + remedy);
  }
  document->name = std::move(name);
  document->expected = std::move(expected);
  document->remedy = std::move(remedy);
  const nlohmann::json& root = document->root;
  return {std::move(document), root, ""};
}

std::string JsonValue::text() const {
  if (!value_->is_string()) refuse("no text");
  return value_->get<std::string>();
}

std::string JsonValue::one_of(std::initializer_list<const char*> values) const {
  std::string found = text();
  if (std::find(values.begin(), values.end(), found) == values.end()) {
    refuse("'" + found + "' is not known");
  }
  return found;
}

std::int64_t JsonValue::integer(std::int64_t lowest, std::int64_t highest) const {
  if (!value_->is_number_integer()) refuse("no whole number");
  const bool wraps = value_->is_number_unsigned() &&
                     value_->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX);
  const std::int64_t found = wraps ? INT64_MAX : value_->get<std::int64_t>();
  if (wraps || found < lowest || found > highest) {
    refuse(value_->dump() + " is not in " + std::to_string(lowest) + ".." +
           std::to_string(highest));
  }
  return found;
}

double JsonValue::number() const {
  if (!value_->is_number()) refuse("no number");
  return value_->get<double>();
}

bool JsonValue::truth() const {
  if (!value_->is_boolean()) refuse("neither true nor false");
  return value_->get<bool>();
}

bool JsonValue::is_list() const { return value_->is_array(); }

bool JsonValue::is_null() const { return value_->is_null(); }

std::vector<JsonValue> JsonValue::items() const {
  if (!value_->is_array()) refuse("no list");
  std::vector<JsonValue> found;
  found.reserve(value_->size());
  for (const nlohmann::json& item : *value_) {
    found.push_back(child(item, std::to_string(found.size())));
  }
  return found;
}

std::vector<std::pair<std::string, JsonValue>> JsonValue::members() const {
  if (!value_->is_object()) refuse("no object");
  std::vector<std::pair<std::string, JsonValue>> found;
  found.reserve(value_->size());
  for (const auto& [key, value] : value_->items()) found.emplace_back(key, child(value, key));
  return found;
}

std::vector<std::string> JsonValue::texts() const {
  std::vector<std::string> found;
  for (const JsonValue& item : items()) found.push_back(item.text());
  return found;
}

JsonValue JsonValue::at(const std::string& key) const {
  std::optional<JsonValue> found = find(key);
  if (!found) refuse("lacks the key '" + key + "'");
  return *found;
}

std::optional<JsonValue> JsonValue::find(const std::string& key) const {
  if (!value_->is_object()) refuse("no object");
  const auto found = value_->find(key);
  if (found == value_->end()) return std::nullopt;
  return child(*found, key);
}

void JsonValue::allow_only(std::initializer_list<const char*> keys) const {
  for (const auto& [key, value] : members()) {
    if (std::find(keys.begin(), keys.end(), key) == keys.end()) value.refuse("unknown key");
  }
}

void JsonValue::refuse(const std::string& why) const {
  throw Error(document_->name + " is wrong at `" + place_ + "` (" + why + "), expected " +
              document_->expected + "; " + document_->remedy);
}

JsonValue JsonValue::child(const nlohmann::json& value, const std::string& key) const {
  return {document_, value, place_.empty() ? key : place_ + "." + key};
}

}  // namespace pocketbert
