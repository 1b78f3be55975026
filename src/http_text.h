// What a text may consist of where it becomes part of an HTTP request or response.
#pragma once

#include <string_view>

namespace spillway {

// Letters, digits, '_', '.' and '-': names of providers, routes and environment variables.
bool is_name(std::string_view text);
// RFC 9110 section 5.6.2, token.
bool is_header_name(std::string_view text);
// What any runtime takes as the value of a header: RFC 9110 section 5.5 allows more, fetch less.
bool is_header_value(std::string_view text);
// What a key may consist of: a header takes it, and it is one word (redact.h).
bool is_key(std::string_view text);
inline constexpr std::string_view kExpectedKey =
    "expected a key of printable ASCII without white space";
// What a base URL may consist of: a path is appended to it.
bool is_url_text(std::string_view text);
inline constexpr std::string_view kExpectedUrl =
    "expected a URL of printable ASCII, without white space, query or fragment";
// Whether a URL names a user (https://user:pass@host), which fetch refuses to call.
bool has_user(std::string_view url);
inline constexpr std::string_view kExpectedNoUser =
    "expected a URL without user and password: keys have variables of their own";
// What access-control-allow-origin may say, or nothing; a browser compares it byte by byte with its
// own.
bool is_origin(std::string_view text);

}  // namespace spillway
