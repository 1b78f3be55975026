// How cases are written and compared: JSON laid out for reading, exact in every byte but white
// space between tokens; and the difference of two texts, line by line.
#pragma once

#include <string>
#include <string_view>

namespace spillway::cases {

// JSON without white space between its tokens; numbers and strings stay as they are written.
std::string compact(std::string_view json);
// One line where it fits, else one line a member or element.
std::string laid_out(std::string_view json);

// The text without white space at line ends and at its end, and its JSON body, if it has one after
// the first blank line (or is one), compact: what two texts are compared by.
std::string canonical(std::string_view text);

// Whether every member of `part` is in `whole`, and every element of its arrays matches some
// element there.
bool holds_json(std::string_view whole, std::string_view part);

// Lines with "-" are only in `expected`, with "+" only in `actual`; equal lines far from a
// difference are left out.
std::string difference(std::string_view expected, std::string_view actual);

// Bytes that would not show or are no UTF-8, as \xNN; line ends stay.
std::string visible(std::string_view bytes);

}  // namespace spillway::cases
