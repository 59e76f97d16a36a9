// A vector for a text: what the model says, which pools and normalises itself.

#include <numeric>

#include "task.hpp"

namespace pocketbert {
namespace {

class Embeddings : public Task {
 public:
  explicit Embeddings(const Manifest& manifest) : Task(manifest, /*named=*/false) {}

  AnyAnswer answer(const Logits& logits, const Reading&) const override {
    return Embedding{logits.values};
  }
};

}  // namespace

float Embedding::similarity(const Embedding& other) const {
  if (vector.size() != other.vector.size()) {
    throw Error("the vectors have " + std::to_string(vector.size()) + " and " +
                std::to_string(other.vector.size()) +
                " numbers, expected as many; compare vectors of the same bundle");
  }
  return std::inner_product(vector.begin(), vector.end(), other.vector.begin(), 0.0F);
}

std::unique_ptr<const Task> make_embeddings(const Manifest& manifest) {
  return std::make_unique<Embeddings>(manifest);
}

}  // namespace pocketbert
