#include "date.h"

#include <chrono>

#include "limits.h"

namespace spillway {

namespace {

namespace chrono = std::chrono;

constexpr std::string_view kForm = "0000-00-00";

void put(std::string& text, std::size_t at, std::size_t digits, unsigned number) {
  for (std::size_t place = at + digits; place > at; number /= 10)
    text[--place] = static_cast<char>('0' + number % 10);
}

// -1 when something else stands there.
int taken(std::string_view text, std::size_t at, std::size_t digits) {
  int number = 0;
  for (const char c : text.substr(at, digits)) {
    if (c < '0' || c > '9') return -1;
    number = number * 10 + (c - '0');
  }
  return number;
}

}  // namespace

std::string date_of(Instant at) {
  const chrono::year_month_day day(chrono::sys_days(chrono::days(at.ms() / limits::day_ms)));
  std::string text(kForm);
  put(text, 0, 4, static_cast<unsigned>(static_cast<int>(day.year())));
  put(text, 5, 2, static_cast<unsigned>(day.month()));
  put(text, 8, 2, static_cast<unsigned>(day.day()));
  return text;
}

bool is_date(std::string_view text) {
  if (text.size() != kForm.size() || text[4] != '-' || text[7] != '-') return false;
  const int year = taken(text, 0, 4);
  const int month = taken(text, 5, 2);
  const int day = taken(text, 8, 2);
  return year >= 0 && month > 0 && day > 0 &&
         chrono::year_month_day(chrono::year(year), chrono::month(static_cast<unsigned>(month)),
                                chrono::day(static_cast<unsigned>(day)))
             .ok();
}

}  // namespace spillway
