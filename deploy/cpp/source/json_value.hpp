// Reads JSON that has to have one exact form; whatever is off is an Error that says where.
#pragma once

#include <cstdint>
#include <filesystem>
#include <initializer_list>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace pocketbert {

// One value of a document, which it keeps alive.
class JsonValue {
 public:
  // `expected` and `remedy` end every sentence about this document: "..., expected {expected};
  // {remedy}".
  static JsonValue read(const std::filesystem::path& file, std::string expected,
                        std::string remedy);
  static JsonValue parse(const std::string& text, std::string name, std::string expected,
                         std::string remedy);

  std::string text() const;
  std::string one_of(std::initializer_list<const char*> values) const;

  // The value that a map has under this text.
  template <typename Value>
  const Value& choose(const std::map<std::string, Value>& values) const {
    const auto found = values.find(text());
    if (found == values.end()) refuse("'" + text() + "' is not known");
    return found->second;
  }

  std::int64_t integer(std::int64_t lowest, std::int64_t highest) const;
  double number() const;
  bool truth() const;
  bool is_null() const;
  bool is_list() const;

  std::vector<JsonValue> items() const;
  std::vector<std::pair<std::string, JsonValue>> members() const;
  std::vector<std::string> texts() const;
  JsonValue at(const std::string& key) const;
  std::optional<JsonValue> find(const std::string& key) const;  // nullopt if there is no such key
  void allow_only(std::initializer_list<const char*> keys) const;

  [[noreturn]] void refuse(const std::string& why) const;

 private:
  struct Document;

  JsonValue(std::shared_ptr<const Document> document, const nlohmann::json& value,
            std::string place)
      : document_(std::move(document)), value_(&value), place_(std::move(place)) {}
  JsonValue child(const nlohmann::json& value, const std::string& key) const;

  std::shared_ptr<const Document> document_;
  const nlohmann::json* value_;
  std::string place_;  // keys and indices from the root
};

}  // namespace pocketbert
