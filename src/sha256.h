// SHA-256 (FIPS 180-4), for client keys that a config knows by their digests. Over the few hundred
// bytes of a key only: this is no code for bulk data.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "rare.h"

namespace spillway {

// 64 hexadecimal digits in lower case.
[[nodiscard]] SPILLWAY_RARE std::string sha256_hex(std::string_view text);

}  // namespace spillway
