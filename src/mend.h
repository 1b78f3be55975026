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

// Appends what makes `cut` a whole object that a client can read to its end and that says nothing:
// the last brace as well, and `needed` (`"name":value`). A container that is there in half is taken
// back, and so is what `needed` names: of two members of one name clients read the last. False, and
// nothing appended, when mend_object() gives false.
bool complete_object(std::string_view cut, std::string_view needed, std::string& out);

}  // namespace spillway
