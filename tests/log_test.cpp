// Log lines: characters that a terminal obeys, or that turn the reading order, are escaped.
#include "log.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "recorder.h"

namespace spillway {
namespace {

std::string logged(std::string_view line) {
  Recorder host;
  write_log(host, LogLevel::warn, line);
  EXPECT_EQ(host.logs.size(), 1U);
  EXPECT_EQ(host.logs.front().first, LogLevel::warn);
  return host.logs.front().second;
}

std::string utf8(char32_t code) {
  std::string out;
  const auto put = [&out](char32_t byte) { out += static_cast<char>(byte); };
  if (code < 0x80) {
    put(code);
  } else if (code < 0x800) {
    put(0xC0 | code >> 6);
    put(0x80 | (code & 0x3F));
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
    put(0x80 | (code & 0x3F));
  }
  return out;
}

TEST(Log, EachCharacterThatIsEscaped) {
  const auto is_escaped = [](char32_t code) {
    return (code >= 0x7F && code <= 0x9F) || code == 0x2028 || code == 0x2029 ||
           (code >= 0x202A && code <= 0x202E) || code == 0x61C || code == 0x200E ||
           code == 0x200F || (code >= 0x2066 && code <= 0x2069);
  };
  int escaped = 0;
  for (char32_t code = 0x20; code < 0x20000; ++code) {
    if (code == '"' || code == '\\' || (code >= 0xD800 && code <= 0xDFFF)) continue;
    const std::string line = "{\"a\":\"x" + utf8(code) + "y\"}";
    const std::string shown = logged(line);
    if (!is_escaped(code)) {
      ASSERT_EQ(shown, line) << static_cast<unsigned>(code);
      continue;
    }
    ++escaped;
    ASSERT_EQ(shown.find(utf8(code)), std::string::npos) << static_cast<unsigned>(code);
    ASSERT_EQ(nlohmann::json::parse(shown), nlohmann::json::parse(line))
        << static_cast<unsigned>(code);
  }
  EXPECT_EQ(escaped, 33 + 2 + 5 + 4 + 3);
}

TEST(Log, AsItIs) {
  EXPECT_EQ(logged("{\"a\":\"b\"}"), "{\"a\":\"b\"}");
  EXPECT_EQ(logged("{\"a\":\"\xC2\x85\xE2\x80\xAE\x7F\"}"), "{\"a\":\"\\u0085\\u202e\\u007f\"}");
  EXPECT_EQ(logged("\"\xE4\xB8\xAD\xF0\x9F\x98\x80\xC2\xA0\""),
            "\"\xE4\xB8\xAD\xF0\x9F\x98\x80\xC2\xA0\"");
}

}  // namespace
}  // namespace spillway
