#include "answer_json.hpp"

#include <cstddef>
#include <variant>

namespace {

using Json = nlohmann::ordered_json;

Json named(const std::vector<float>& numbers, const std::vector<std::string>& labels) {
  Json json = Json::object();
  for (std::size_t i = 0; i < labels.size(); ++i) json[labels[i]] = numbers[i];
  return json;
}

struct ToJson {
  const std::vector<std::string>& labels;

  Json operator()(const pocketbert::Classification& answer) const {
    return {{"label", answer.label},
            {"score", answer.score},
            {"probabilities", named(answer.probabilities, labels)}};
  }

  Json operator()(const pocketbert::Labels& answer) const {
    return {{"labels", answer.labels}, {"probabilities", named(answer.probabilities, labels)}};
  }

  Json operator()(const pocketbert::Number& answer) const { return {{"value", answer.value}}; }

  Json operator()(const pocketbert::Embedding& answer) const { return {{"vector", answer.vector}}; }

  Json operator()(const pocketbert::Entities& answer) const {
    Json entities = Json::array();
    for (const pocketbert::Entity& entity : answer.entities) {
      entities.push_back({{"start", entity.span.start},
                          {"end", entity.span.end},
                          {"text", entity.span.text},
                          {"label", entity.label},
                          {"score", entity.score}});
    }
    return {{"entities", entities}};
  }

  Json operator()(const pocketbert::Answer& answer) const {
    Json json = part(answer.span, answer.score);
    json["answerable"] = answer.answerable;
    json["candidates"] = Json::array();
    for (const pocketbert::Candidate& candidate : answer.candidates) {
      json["candidates"].push_back(part(candidate.span, candidate.score));
    }
    return json;
  }

  Json operator()(const pocketbert::Translation& answer) const {
    return {{"text", answer.text}, {"score", answer.score}};
  }

  static Json part(const pocketbert::Span& span, float score) {
    return {{"text", span.text}, {"start", span.start}, {"end", span.end}, {"score", score}};
  }
};

}  // namespace

nlohmann::ordered_json json_of(const pocketbert::AnyAnswer& answer,
                               const std::vector<std::string>& labels) {
  return std::visit(ToJson{labels}, answer);
}
