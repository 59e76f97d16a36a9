#include <map>

#include "token_model.hpp"

namespace pocketbert {
namespace {

using Read = std::unique_ptr<const TokenModel> (*)(const JsonValue&);

const std::map<std::string, Read> kTokenModels = {
    {"Unigram", read_unigram},
    {"WordPiece", read_word_piece},
};

}  // namespace

std::unique_ptr<const TokenModel> read_token_model(const JsonValue& model) {
  return model.at("type").choose(kTokenModels)(model);
}

}  // namespace pocketbert
