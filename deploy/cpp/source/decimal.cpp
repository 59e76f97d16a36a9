#include "decimal.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <string>
#include <string_view>

namespace pocketbert::decimal {
namespace {

constexpr int kHighest = 308;

double power_of_ten(int exponent) {
  const std::string text = "1e" + std::to_string(exponent);
  double power = 0;
  std::from_chars(text.data(), text.data() + text.size(), power);
  return power;
}

// The digits are a whole number, to be multiplied by ten to the exponent.
double scaled(std::uint64_t digits, int exponent) {
  static const std::array<double, kHighest + 1> powers = [] {
    std::array<double, kHighest + 1> made{};
    for (int i = 0; i <= kHighest; ++i) made[static_cast<std::size_t>(i)] = power_of_ten(i);
    return made;
  }();
  auto value = static_cast<double>(digits);
  for (; exponent < -kHighest; exponent += kHighest) value /= powers[kHighest];
  const double power = powers[static_cast<std::size_t>(std::abs(exponent))];
  return exponent < 0 ? value / power : value * power;
}

}  // namespace

double as_serde_reads(double value) {
  std::array<char, 32> text{};
  const auto written = std::to_chars(text.data(), text.data() + text.size(), std::fabs(value),
                                     std::chars_format::scientific);
  std::uint64_t digits = 0;
  int exponent = 0;
  bool fraction = false;
  const char* at = text.data();
  for (; at != written.ptr && *at != 'e'; ++at) {
    if (*at == '.') {
      fraction = true;
      continue;
    }
    digits = digits * 10 + static_cast<std::uint64_t>(*at - '0');
    if (fraction) --exponent;
  }
  int shift = 0;
  at += at != written.ptr && at + 1 != written.ptr && at[1] == '+' ? 2 : 1;
  std::from_chars(at, written.ptr, shift);
  return std::copysign(scaled(digits, exponent + shift), value);
}

}  // namespace pocketbert::decimal
