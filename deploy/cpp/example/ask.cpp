// Answers a question out of a text: `ask BUNDLE QUESTION CONTEXT`.

#include <iostream>
#include <pocketbert.hpp>

int main(int count, char** arguments) {
  if (count != 4) {
    std::cerr << "usage: ask BUNDLE QUESTION CONTEXT\n";
    return 2;
  }
  try {
    const auto engine = pocketbert::Engine::open(arguments[1]);
    const auto answer = engine.run<pocketbert::Answer>({arguments[2], arguments[3]});
    std::cout << (answer.answerable ? answer.span.text : "the text does not tell") << ' '
              << answer.score << '\n';
  } catch (const pocketbert::Error& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
