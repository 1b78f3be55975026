// Days as texts.
#include "date.h"

#include <gtest/gtest.h>

namespace spillway {
namespace {

TEST(Date, OfAMoment) {
  struct Row {
    Millis ms;
    const char* date;
  };
  const Row rows[] = {
      {0, "1970-01-01"},
      {86'399'999, "1970-01-01"},
      {86'400'000, "1970-01-02"},
      {951'782'400'000, "2000-02-29"},
      {1'796'083'199'999, "2026-11-30"},
      {1'796'083'200'000, "2026-12-01"},
      {253'402'300'799'999, "9999-12-31"},
  };
  for (const Row& row : rows) EXPECT_EQ(date_of(Instant::at_ms(row.ms)), row.date);
}

TEST(Date, IsADayThatThereIs) {
  for (const char* good : {"2026-12-01", "2024-02-29", "0000-01-01", "9999-12-31"})
    EXPECT_TRUE(is_date(good)) << good;
  for (const char* bad : {"", "2026", "2026-12", "2026-12-1", "2026-12-011", "2026-13-01",
                          "2026-00-01", "2026-01-00", "2026-02-29", "2026-04-31", "2026/12/01",
                          "26-12-2001", "2026-12-0x", "+026-12-01", "2026-12-01T00:00:00Z"})
    EXPECT_FALSE(is_date(bad)) << bad;
}

}  // namespace
}  // namespace spillway
