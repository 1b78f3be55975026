#include "trace.h"

namespace spillway::sim {

void Trace::event(Instant now, std::string_view text) {
  const Millis ms = now - start_;
  std::fprintf(out_, "%6lld.%03lld  %.*s\n", static_cast<long long>(ms / 1000),
               static_cast<long long>(ms % 1000), static_cast<int>(text.size()), text.data());
}

void Trace::action(std::string_view text) {
  std::fprintf(out_, "              %.*s\n", static_cast<int>(text.size()), text.data());
}

std::string Trace::shown(std::string_view bytes) {
  constexpr std::size_t shown_max = 400;
  std::string out = "\"";
  const auto append = [&out](std::string_view part) {
    constexpr std::string_view hex = "0123456789ABCDEF";
    for (const char c : part) {
      const auto byte = static_cast<unsigned char>(c);
      if (c == '\n') {
        out += "\\n";
      } else if (c == '\r') {
        out += "\\r";
      } else if (byte < 0x20 || byte > 0x7e) {
        out += "\\x";
        out += hex[byte >> 4];
        out += hex[byte & 15];
      } else {
        out += c;
      }
    }
  };
  if (bytes.size() <= shown_max) {
    append(bytes);
  } else {
    append(bytes.substr(0, shown_max / 2));
    out += "\" … \"";
    append(bytes.substr(bytes.size() - shown_max / 2));
  }
  return out + "\"";
}

}  // namespace spillway::sim
