// The JSON reader compared with nlohmann/json: which texts are JSON, and what reading them gives,
// in whatever way and order they are read. Used by json_test.cpp and the fuzzer.
#pragma once

#include <algorithm>
#include <cctype>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "json.h"
#include "limits.h"

namespace spillway {

// Changes nothing about whether `text` is JSON, but avoids what nlohmann/json refuses on purpose:
// lone surrogates become A, and numbers are cut to be finite.
inline std::string for_nlohmann(std::string_view text) {
  const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto is_hex = [](char c) { return isxdigit(static_cast<unsigned char>(c)) != 0; };
  std::string out;
  bool in_string = false;
  std::size_t digits = 0;  // in a row, outside of strings
  bool in_exponent = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\' && i + 1 < text.size()) {
      const std::string_view code = text.substr(i + 1, 5);
      if (code.size() == 5 && (code[0] == 'u') && (code[1] == 'd' || code[1] == 'D') &&
          std::string_view("89abcdefABCDEF").find(code[2]) != code.npos && is_hex(code[3]) &&
          is_hex(code[4])) {
        out += "\\u0041";
        i += 5;
      } else {
        out += c;
        out += text[++i];
      }
      continue;
    }
    if (c == '"') in_string = !in_string;
    if (!in_string && is_digit(c)) {
      if (++digits > (in_exponent ? 2 : 40)) continue;
    } else if (c != '+' && c != '-') {
      digits = 0;
      in_exponent = c == 'e' || c == 'E';
    }
    out += c;
  }
  return out;
}

// How many objects and arrays are open at once, at most; meaningful for JSON only.
inline unsigned depth_of(std::string_view text) {
  unsigned depth = 0;
  unsigned deepest = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string && c == '\\') ++i;
    if (c == '"') in_string = !in_string;
    if (in_string) continue;
    if (c == '{' || c == '[') deepest = std::max(deepest, ++depth);
    if (c == '}' || c == ']') --depth;
  }
  return deepest;
}

inline bool reference_valid(std::string_view text) {
  // nlohmann/json drops a BOM and takes NUL for the end of the text; neither is JSON.
  if (text.substr(0, 3) == "\xEF\xBB\xBF" || text.find('\0') != text.npos) return false;
  return nlohmann::json::accept(for_nlohmann(text)) && depth_of(text) <= limits::json_depth_max;
}

// Reads values in randomly chosen ways, the wrong ones too, and compares what comes back with
// nlohmann's reading of the same bytes. The text must be valid and survive for_nlohmann()
// unchanged.
class RandomReads {
 public:
  explicit RandomReads(unsigned seed) : random_(seed) {}

  // Takes one value, or leaves it pending. `problem` says what differed.
  nlohmann::json read(json::Reader& in) {
    json::Reader ahead = in;
    const std::string_view span = ahead.raw();
    nlohmann::json expected = nlohmann::json::parse(span, nullptr, false);
    check(!expected.is_discarded(), "the span is one value");
    check(in.peek() == type_of(expected), "peek()");
    switch (expected.is_structured() && below(3) > 0 ? 8 + below(2) : below(10)) {
      case 0:
        break;
      case 1:
        in.skip();
        break;
      case 2:
        check(in.raw() == span, "raw()");
        break;
      case 3:
        check_string(in.string(), expected);
        break;
      case 4: {
        const std::optional<bool> value = in.boolean();
        check(value.has_value() == expected.is_boolean(), "boolean()");
        check(!value || *value == expected.get<bool>(), "boolean() value");
        break;
      }
      case 5:
        check(in.integer() == integer_of(expected, span), "integer()");
        break;
      case 6:
        check(in.number() == number_of(expected, span), "number()");
        break;
      case 7:
        check(in.null() == expected.is_null(), "null()");
        break;
      case 8:
        read_object(in, expected);
        break;
      default:
        read_array(in, expected);
    }
    return expected;
  }

  // Reads broken text: nothing is expected but that it ends.
  void wander(json::Reader& in) {
    const std::size_t choice = below(8);
    if (choice == 0) in.skip();
    if (choice == 1) (void)in.string();
    if (choice == 2) (void)in.integer();
    if (choice == 3) (void)in.null();
    if (choice > 3 && in.peek() == json::Type::object && in.enter_object())
      while (in.next_member()) wander(in);
    if (choice > 3 && in.peek() == json::Type::array && in.enter_array())
      while (in.next_element()) wander(in);
  }

  std::string problem;

 private:
  std::size_t below(std::size_t bound) { return random_() % bound; }

  void check(bool right, const char* what) {
    if (!right && problem.empty()) problem = what;
  }

  static json::Type type_of(const nlohmann::json& value) {
    if (value.is_object()) return json::Type::object;
    if (value.is_array()) return json::Type::array;
    if (value.is_string()) return json::Type::string;
    if (value.is_number()) return json::Type::number;
    if (value.is_boolean()) return json::Type::boolean;
    return value.is_null() ? json::Type::null : json::Type::none;
  }

  static std::optional<std::int64_t> integer_of(const nlohmann::json& value,
                                                std::string_view span) {
    if (value.is_number_unsigned()) {
      const auto whole = value.get<std::uint64_t>();
      return whole <= INT64_MAX ? std::optional(static_cast<std::int64_t>(whole)) : std::nullopt;
    }
    if (value.is_number_integer()) return value.get<std::int64_t>();
    if (!value.is_number() || span.size() > limits::number_digits_max) return std::nullopt;
    const auto real = value.get<double>();
    if (std::abs(real) >= 0x1p53 || std::trunc(real) != real) return std::nullopt;
    return static_cast<std::int64_t>(real);
  }

  static std::optional<double> number_of(const nlohmann::json& value, std::string_view span) {
    if (!value.is_number() || span.size() > limits::number_digits_max) return std::nullopt;
    return value.get<double>();
  }

  void check_string(std::optional<JsonText> text, const nlohmann::json& expected) {
    check(text.has_value() == expected.is_string(), "string()");
    if (!text || !expected.is_string()) return;
    const auto plain = expected.get<std::string>();
    check(json::unescaped(*text) == plain, "unescaped()");
    check(json::equals(*text, plain), "equals()");
    std::string again;
    json::append_escaped(again, plain);
    check(json::unescaped(JsonText::trusted(again)) == plain, "append_escaped()");
  }

  void read_object(json::Reader& in, const nlohmann::json& expected) {
    check(in.enter_object() == expected.is_object(), "enter_object()");
    if (!expected.is_object()) return;
    nlohmann::json rebuilt = nlohmann::json::object();
    while (in.next_member()) {
      const std::string key(in.key());
      rebuilt[key] = read(in);  // as in nlohmann/json, the last of equal names wins
    }
    check(rebuilt == expected, "the members");
  }

  void read_array(json::Reader& in, const nlohmann::json& expected) {
    check(in.enter_array() == expected.is_array(), "enter_array()");
    if (!expected.is_array()) return;
    nlohmann::json rebuilt = nlohmann::json::array();
    while (in.next_element()) rebuilt.push_back(read(in));
    check(rebuilt == expected, "the elements");
  }

  std::mt19937 random_;
};

// What is wrong with the reader's view of `text`; empty when it agrees with nlohmann/json.
inline std::string disagreement(std::string_view text, unsigned seed) {
  const bool valid = reference_valid(text);
  const std::vector<char> exact(text.begin(), text.end());  // AddressSanitizer sees overreads
  if (json::valid({exact.data(), exact.size()}) != valid) return "valid()";
  const std::string plain = for_nlohmann(text);
  if (json::valid(plain) != valid) return "valid(), without lone surrogates and long numbers";
  const std::vector<char> exact_plain(plain.begin(), plain.end());
  json::Reader in({exact_plain.data(), exact_plain.size()});
  RandomReads reads(seed);
  if (valid) {
    reads.read(in);
  } else {
    reads.wander(in);
  }
  if (in.finish() != valid) return "finish()";
  if ((in.problem() == nullptr) != valid) return "problem()";
  if (in.offset() > plain.size()) return "offset()";
  return reads.problem;
}

}  // namespace spillway
