#include "writer.hpp"

#include "pocketbert.hpp"
#include "tasks/translation.hpp"
#include "writing.hpp"

namespace pocketbert {

Writer::Writer(const Bundle& bundle, const Target& target, int threads, int beams)
    : language_(open_language(bundle.root, beams)) {
  const OpenSteps open = steps_named(target.runtime);
  if (open == nullptr) {
    throw Error("the target " + target.name + " cannot run here, " + target.runtime +
                "'s runner writes no texts, expected a target of onnxruntime; compile for it");
  }
  steps_ = open(bundle, target, threads);
}

std::vector<Logits> Writer::write(const Batch& batch) const {
  std::vector<Logits> texts;
  for (const Written& one : pocketbert::write(*steps_, batch, language_)) {
    texts.push_back(as_numbers(language_.tokenizer.decode(one.ids), one.score));
  }
  return texts;
}

}  // namespace pocketbert
