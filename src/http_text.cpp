#include "http_text.h"

namespace spillway {

namespace {

bool consists_of(std::string_view text, char first, char last) {
  for (const char c : text)
    if (c < first || c > last) return false;
  return true;
}

}  // namespace

bool is_name(std::string_view text) {
  return !text.empty() &&
         text.find_first_not_of(
             "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
             std::string_view::npos;
}

bool is_header_name(std::string_view text) {
  for (const char c : text)
    if (!is_name({&c, 1}) && std::string_view("!#$%&'*+^`|~").find(c) == std::string_view::npos)
      return false;
  return !text.empty();
}

bool is_header_value(std::string_view text) { return consists_of(text, ' ', '~'); }

bool is_key(std::string_view text) { return consists_of(text, '!', '~'); }

bool is_url_text(std::string_view text) {
  return consists_of(text, '!', '~') && text.find_first_of("?#") == std::string_view::npos;
}

bool has_user(std::string_view url) {
  constexpr std::string_view after_scheme = "://";
  const std::size_t scheme = url.find(after_scheme);
  if (scheme == std::string_view::npos) return false;
  const std::string_view rest = url.substr(scheme + after_scheme.size());
  return rest.substr(0, rest.find('/')).find('@') != std::string_view::npos;
}

bool is_origin(std::string_view text) {
  if (text.empty() || text == "*") return true;
  constexpr std::string_view after_scheme = "://";
  const std::size_t scheme = text.find(after_scheme);
  if (scheme == std::string_view::npos || !consists_of(text, '!', '~')) return false;
  const std::string_view host = text.substr(scheme + after_scheme.size());
  return !host.empty() && host.find_first_of("/,*") == std::string_view::npos;
}

}  // namespace spillway
