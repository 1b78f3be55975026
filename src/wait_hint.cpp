#include "wait_hint.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <optional>

#include "limits.h"
#include "text.h"

namespace spillway {

namespace {

// Numbers are held in thousandths and stop growing here: far beyond any date in milliseconds, and
// far enough from INT64_MAX that one more multiplication cannot overflow.
constexpr std::int64_t kThousandthsMax = 9'000'000'000'000'000;
constexpr Millis kHour = 3'600'000;

constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }
constexpr bool is_letter(char c) { return lower(c) >= 'a' && lower(c) <= 'z'; }

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(),
                                            [](char x, char y) { return lower(x) == lower(y); });
}

constexpr Millis bounded(Millis wait) {
  return std::clamp<Millis>(wait, 0, limits::timeout_ms_max);
}

// Takes digits with an optional fraction off the front of `text`, in thousandths, rounded up.
// Decimal on purpose: floating-point parsing is not in every standard library this is built with.
std::optional<std::int64_t> take_decimal(std::string_view& text) {
  if (text.empty() || !is_digit(text.front())) return std::nullopt;
  std::int64_t thousandths = 0;
  const auto push = [&thousandths](int digit) {
    thousandths = std::min(thousandths, kThousandthsMax / 10) * 10 + digit;
  };
  std::size_t at = 0;
  while (at < text.size() && is_digit(text[at])) push(text[at++] - '0');
  const bool fraction = at + 1 < text.size() && text[at] == '.' && is_digit(text[at + 1]);
  if (fraction) ++at;
  bool rest = false;
  for (int place = 0; place < 3; ++place) {
    const bool digit = fraction && at < text.size() && is_digit(text[at]);
    push(digit ? text[at++] - '0' : 0);
  }
  while (fraction && at < text.size() && is_digit(text[at])) rest |= text[at++] != '0';
  text.remove_prefix(at);
  return std::min(thousandths, kThousandthsMax) + (rest ? 1 : 0);
}

std::string_view take_letters(std::string_view& text) {
  std::size_t size = 0;
  while (size < text.size() && is_letter(text[size])) ++size;
  const std::string_view word = text.substr(0, size);
  text.remove_prefix(size);
  return word;
}

struct Unit {
  std::string_view name;
  Millis ms;
};
constexpr std::array kUnits{
    Unit{"ms", 1},           Unit{"millisecond", 1}, Unit{"milliseconds", 1},
    Unit{"s", 1000},         Unit{"sec", 1000},      Unit{"secs", 1000},
    Unit{"second", 1000},    Unit{"seconds", 1000},  Unit{"m", 60'000},
    Unit{"min", 60'000},     Unit{"mins", 60'000},   Unit{"minute", 60'000},
    Unit{"minutes", 60'000}, Unit{"h", kHour},       Unit{"hour", kHour},
    Unit{"hours", kHour},    Unit{"d", 24 * kHour},  Unit{"day", 24 * kHour},
    Unit{"days", 24 * kHour}};

// Takes "9m38.016s", "350ms" or "5 minutes 30 seconds" off the front of `text`.
Millis take_duration(std::string_view& text) {
  Millis sum = kNoWait;
  for (;;) {
    std::string_view rest = text;
    if (sum != kNoWait && !rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    const std::optional<std::int64_t> number = take_decimal(rest);
    if (!number) return sum;
    if (!rest.empty() && rest.front() == ' ') rest.remove_prefix(1);
    const std::string_view word = take_letters(rest);
    const auto unit = std::find_if(kUnits.begin(), kUnits.end(), [word](const Unit& each) {
      return equal_ignoring_case(each.name, word);
    });
    if (unit == kUnits.end()) return sum;
    // Beyond the bound in whole units already, so the product below cannot overflow.
    const bool huge = *number / 1000 > limits::timeout_ms_max;
    const Millis part = huge ? limits::timeout_ms_max : (*number * unit->ms + 999) / 1000;
    sum = bounded(std::max<Millis>(sum, 0) + part);
    text = rest;
  }
}

// Any of the three forms of RFC 9110 section 5.6.7, and RFC 3339. Reads the pieces by their look:
// a name is a month or a weekday, a number with ':' is a time, a number is a day and then a year.
struct Date {
  int year = -1;
  int month = -1;
  int day = -1;
  Millis of_day = -1;
  Millis offset = 0;
};

int month_of(std::string_view word) {
  constexpr std::string_view names = "janfebmaraprmayjunjulaugsepoctnovdec";
  for (int month = 0; month < 12; ++month)
    if (equal_ignoring_case(names.substr(static_cast<std::size_t>(month) * 3, 3),
                            word.substr(0, 3)))
      return month + 1;
  return -1;
}

// "10:00:00", seconds with a fraction or absent.
Millis take_time(std::string_view& text) {
  Millis total = 0;
  Millis unit = kHour;
  for (int part = 0; part < 3; ++part, unit /= 60) {
    const std::optional<std::int64_t> number = take_decimal(text);
    if (!number || *number > 61'000) return kNoWait;
    total += *number * unit / 1000;
    if (text.empty() || text.front() != ':') break;
    text.remove_prefix(1);
  }
  return total;
}

Millis epoch_ms(const Date& date) {
  namespace chrono = std::chrono;
  const chrono::year_month_day day{chrono::year(date.year),
                                   chrono::month(static_cast<unsigned>(date.month)),
                                   chrono::day(static_cast<unsigned>(date.day))};
  if (date.of_day < 0 || !day.ok()) return kNoWait;
  const auto days = static_cast<Millis>(chrono::sys_days(day).time_since_epoch().count());
  return days * 24 * kHour + date.of_day - date.offset;
}

Millis read_rfc3339(std::string_view text) {
  Date date;
  for (int* const part : {&date.year, &date.month, &date.day}) {
    const std::optional<std::int64_t> number = take_decimal(text);
    if (!number || *number > 9'999'000 || text.empty()) return kNoWait;
    *part = static_cast<int>(*number / 1000);
    text.remove_prefix(1);  // - - T
  }
  date.of_day = take_time(text);
  if (!text.empty() && (text.front() == '+' || text.front() == '-')) {
    const bool east = text.front() == '+';
    text.remove_prefix(1);
    const Millis offset = take_time(text);
    date.offset = east ? offset : -offset;
  }
  return epoch_ms(date);
}

Millis read_http_date(std::string_view text) {
  Date date;
  while (!text.empty()) {
    if (is_letter(text.front())) {
      const std::string_view word = take_letters(text);
      if (word.size() >= 3 && month_of(word) > 0) date.month = month_of(word);
    } else if (is_digit(text.front())) {
      std::string_view time = text;
      const std::optional<std::int64_t> number = take_decimal(text);
      if (!number || *number > 9'999'000) return kNoWait;
      if (!text.empty() && text.front() == ':') {
        date.of_day = take_time(time);
        text = time;
      } else if (date.day < 0) {
        date.day = static_cast<int>(*number / 1000);
      } else {
        date.year = static_cast<int>(*number / 1000);
        if (date.year < 100) date.year += 2000;  // RFC 850 form; nothing asks to wait until 19xx
      }
    } else {
      text.remove_prefix(1);
    }
  }
  if (date.year < 0 || date.month < 0 || date.day < 0) return kNoWait;
  return epoch_ms(date);
}

}  // namespace

Millis wait_from(Instant now, std::string_view text) {
  text = trimmed(text);
  if (text.empty()) return kNoWait;
  const auto until = [now](Millis at) {
    return at < 0 ? kNoWait : bounded(at - std::clamp<Millis>(now.ms(), 0, kThousandthsMax));
  };
  if (!is_digit(text.front()))
    return is_letter(text.front()) ? until(read_http_date(text)) : kNoWait;
  std::string_view rest = text;
  const std::int64_t number = *take_decimal(rest);
  if (!rest.empty()) {
    if (rest.front() == '-') return until(read_rfc3339(text));
    const Millis wait = take_duration(text);
    return text.empty() ? wait : kNoWait;
  }
  // No one asks for a wait of thirty years: from there on it is a point in time.
  constexpr std::int64_t epoch_s = 1'000'000'000;
  const std::int64_t whole = number / 1000;
  if (whole >= epoch_s * 1000) return until(whole);
  if (whole >= epoch_s) return until(number);
  return bounded(number);
}

Millis wait_from_ms(std::string_view text) {
  text = trimmed(text);
  const std::optional<std::int64_t> number = take_decimal(text);
  if (!number || !text.empty()) return kNoWait;
  return bounded((*number + 999) / 1000);
}

Millis wait_in_words(std::string_view message) {
  // OpenAI and Groq: "Please try again in 9m38.016s"; Gemini: "Please retry in 34.4s";
  // Azure: "Please retry after 26 seconds".
  constexpr std::array<std::string_view, 4> openings{"try again in ", "retry in ", "retry after ",
                                                     "try again after "};
  for (const std::string_view opening : openings) {
    const auto found = std::search(message.begin(), message.end(), opening.begin(), opening.end(),
                                   [](char a, char b) { return lower(a) == b; });
    if (found == message.end()) continue;
    std::string_view rest = message.substr(static_cast<std::size_t>(found - message.begin()));
    rest.remove_prefix(opening.size());
    const Millis wait = take_duration(rest);
    if (wait != kNoWait) return wait;
  }
  return kNoWait;
}

}  // namespace spillway
