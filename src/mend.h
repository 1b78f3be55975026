// Completes a JSON object whose text was cut anywhere, so that what a client already has of it
// becomes valid.
#pragma once

#include <string>
#include <string_view>

namespace spillway {

// Appends to `out` what makes `cut` + `out` a JSON object but for its closing brace: open strings,
// names, literals and inner containers are closed. The caller may add members (each with a comma
// before it when `needs_comma` is set) and writes the last brace. False, and nothing appended, when
// `cut` does not begin an object, is deeper than limits::json_depth_max or has already ended.
bool mend_object(std::string_view cut, std::string& out, bool& needs_comma);

}  // namespace spillway
