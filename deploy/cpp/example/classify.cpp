// Classifies one text: `classify BUNDLE TEXT`.

#include <iostream>
#include <pocketbert.hpp>

int main(int count, char** arguments) {
  if (count != 3) {
    std::cerr << "usage: classify BUNDLE TEXT\n";
    return 2;
  }
  try {
    const auto engine = pocketbert::Engine::open(arguments[1]);
    const pocketbert::Classification answer = engine.run(arguments[2]);
    std::cout << answer.label << ' ' << answer.score << '\n';
  } catch (const pocketbert::Error& error) {
    std::cerr << error.what() << '\n';
    return 2;
  }
  return 0;
}
