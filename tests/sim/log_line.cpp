#include "log_line.h"

#include <algorithm>
#include <array>

#include "json.h"

namespace spillway::sim {

namespace {

std::string text_of(json::Reader& in) { return json::unescaped(in.string().value_or(JsonText())); }

}  // namespace

bool LogLine::read(std::string_view text) {
  struct Text {
    std::string_view name;
    std::string LogLine::* field;
  };
  static constexpr std::array kTexts{
      Text{"event", &LogLine::event},      Text{"outcome", &LogLine::outcome},
      Text{"mode", &LogLine::mode},        Text{"request_id", &LogLine::request_id},
      Text{"error.type", &LogLine::error}, Text{"engine", &LogLine::engine},
  };
  struct Number {
    std::string_view name;
    std::int64_t LogLine::* field;
  };
  static constexpr std::array kNumbers{
      Number{"total_ms", &LogLine::total_ms},
      Number{"rescues", &LogLine::rescues},
      Number{"time_to_first_content_ms", &LogLine::first_content_ms},
      Number{"gen_ai.usage.input_tokens", &LogLine::input_tokens},
      Number{"gen_ai.usage.output_tokens", &LogLine::output_tokens},
  };
  json::Reader in(text);
  if (!in.enter_object()) return false;
  while (in.next_member()) {
    const std::string_view key = in.key();
    const auto named = [key](const auto& row) { return row.name == key; };
    if (const auto* row = std::find_if(kTexts.begin(), kTexts.end(), named); row != kTexts.end()) {
      this->*(row->field) = text_of(in);
    } else if (const auto* count = std::find_if(kNumbers.begin(), kNumbers.end(), named);
               count != kNumbers.end()) {
      this->*(count->field) = in.integer().value_or(-2);
    } else if (key == "stream") {
      stream = in.boolean().value_or(false);
    } else if (key == "attempts" && in.enter_array()) {
      while (in.next_element()) {
        Attempt attempt;
        in.enter_object();
        while (in.next_member()) {
          if (in.key() == "engine") attempt.engine = text_of(in);
          if (in.key() == "outcome") attempt.outcome = text_of(in);
          if (in.key() == "status") attempt.status = in.integer().value_or(-2);
          if (in.key() == "input_tokens") attempt.input_tokens = in.integer().value_or(-2);
          if (in.key() == "output_tokens") attempt.output_tokens = in.integer().value_or(-2);
        }
        attempts.push_back(std::move(attempt));
      }
    }
  }
  return in.finish();
}

// The value of a header, from a response's head.
std::string header_of(std::string_view head, std::string_view name) {
  json::Reader in(head);
  std::string value;
  if (!in.enter_object()) return value;
  while (in.next_member())
    if (in.key() == name) value = text_of(in);
  return value;
}

bool is_head(std::string_view head) {
  json::Reader in(head);
  if (!in.enter_object()) return false;
  while (in.next_member()) {
    if (in.peek() != json::Type::string) return false;
    for (const char c : in.string().value_or(JsonText()).escaped())
      if (static_cast<unsigned char>(c) < 0x20 || static_cast<unsigned char>(c) > 0x7e)
        return false;
  }
  return in.finish();
}

}  // namespace spillway::sim
