#include "case_text.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <vector>

#include "text.h"

namespace spillway::cases {

namespace {

constexpr std::size_t kColumns = 100;
constexpr std::size_t kContextLines = 2;

// The end of the string that begins at `at`, behind its closing quote.
std::size_t string_end(std::string_view json, std::size_t at) {
  for (++at; at < json.size() && json[at] != '"'; ++at)
    if (json[at] == '\\') ++at;
  return std::min(at + 1, json.size());
}

// The end of the value that begins at `at`, in compact JSON.
std::size_t value_end(std::string_view json, std::size_t at) {
  int depth = 0;
  while (at < json.size()) {
    const char c = json[at];
    if (depth == 0 && (c == ',' || c == '}' || c == ']')) return at;
    if (c == '"') {
      at = string_end(json, at);
      continue;
    }
    depth += c == '{' || c == '[' ? 1 : 0;
    depth -= c == '}' || c == ']' ? 1 : 0;
    ++at;
  }
  return at;
}

void lay_out(std::string_view value, std::size_t indent, std::size_t column, std::string& out) {
  const bool nests = value.size() > 2 && (value[0] == '{' || value[0] == '[');
  if (!nests || column + value.size() <= kColumns) {
    out += value;
    return;
  }
  out += value[0];
  for (std::size_t at = 1; at + 1 < value.size();) {
    std::string line(indent + 1, ' ');
    if (value[0] == '{') {
      const std::size_t colon = string_end(value, at);
      line += value.substr(at, colon - at);
      line += ": ";
      at = colon + 1;
    }
    const std::size_t end = value_end(value, at);
    out += '\n';
    out += line;
    lay_out(value.substr(at, end - at), indent + 1, line.size() + 1, out);
    if (value[end] == ',') out += ',';
    at = end + 1;
  }
  out += '\n';
  out.append(indent, ' ');
  out += value.back();
}

bool is_json(std::string_view text) {
  text = trimmed(text);
  return !text.empty() && (text.front() == '{' || text.front() == '[');
}

bool holds(const nlohmann::json& whole, const nlohmann::json& part) {
  if (part.is_object()) {
    if (!whole.is_object()) return false;
    for (const auto& [name, value] : part.items())
      if (!whole.contains(name) || !holds(whole[name], value)) return false;
    return true;
  }
  if (part.is_array()) {
    if (!whole.is_array()) return false;
    return std::all_of(part.begin(), part.end(), [&whole](const nlohmann::json& wanted) {
      return std::any_of(whole.begin(), whole.end(),
                         [&wanted](const nlohmann::json& each) { return holds(each, wanted); });
    });
  }
  return whole == part;
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// Bytes of the character that `bytes` begins with; 0 when it would not show, or is no UTF-8.
std::size_t shown_size(std::string_view bytes) {
  const auto byte = static_cast<unsigned char>(bytes.front());
  if (byte < 0x80) return (byte >= 0x20 && byte != 0x7f) || byte == '\n' ? 1 : 0;
  const std::size_t size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc2 ? 2 : 0;
  if (size == 0 || bytes.size() < size) return 0;
  const auto goes_on = [](char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; };
  return std::all_of(bytes.begin() + 1, bytes.begin() + static_cast<std::ptrdiff_t>(size), goes_on)
             ? size
             : 0;
}

}  // namespace

std::string compact(std::string_view json) {
  std::string out;
  for (std::size_t at = 0; at < json.size();) {
    const char c = json[at];
    if (c == '"') {
      const std::size_t end = string_end(json, at);
      out += json.substr(at, end - at);
      at = end;
      continue;
    }
    if (c != ' ' && c != '\n' && c != '\r' && c != '\t') out += c;
    ++at;
  }
  return out;
}

std::string laid_out(std::string_view json) {
  const std::string whole = compact(json);
  std::string out;
  lay_out(whole, 0, 0, out);
  return out;
}

std::string canonical(std::string_view text) {
  text = trimmed(text);
  std::size_t body = 0;
  if (!is_json(text)) {
    body = text.find("\n\n");
    if (body == std::string_view::npos || !is_json(text.substr(body))) body = text.size();
  }
  std::string out;
  for (const std::string_view line : lines_of(text.substr(0, body))) {
    out += line.substr(0, line.find_last_not_of(" \t") + 1);
    out += '\n';
  }
  if (body < text.size()) out += "\n" + compact(text.substr(body));
  return out;
}

bool holds_json(std::string_view whole, std::string_view part) {
  const auto parse = [](std::string_view text) {
    return nlohmann::json::parse(text, nullptr, false);
  };
  const nlohmann::json wanted = parse(part);
  return !wanted.is_discarded() && holds(parse(whole), wanted);
}

std::string difference(std::string_view expected, std::string_view actual) {
  const auto a = lines_of(expected);
  const auto b = lines_of(actual);
  // Longest common subsequence: common[i][j] of the lines from i and j on.
  std::vector<std::vector<std::size_t>> common(a.size() + 1,
                                               std::vector<std::size_t>(b.size() + 1));
  for (std::size_t i = a.size(); i-- > 0;)
    for (std::size_t j = b.size(); j-- > 0;)
      common[i][j] =
          a[i] == b[j] ? common[i + 1][j + 1] + 1 : std::max(common[i + 1][j], common[i][j + 1]);
  std::vector<std::string> lines;
  for (std::size_t i = 0, j = 0; i < a.size() || j < b.size();) {
    if (i < a.size() && j < b.size() && a[i] == b[j]) {
      lines.push_back("    " + visible(a[i]));
      ++i, ++j;
    } else if (j == b.size() || (i < a.size() && common[i + 1][j] >= common[i][j + 1])) {
      lines.push_back("  - " + visible(a[i++]));
    } else {
      lines.push_back("  + " + visible(b[j++]));
    }
  }
  const auto near_change = [&lines](std::size_t at) {
    const std::size_t end = std::min(at + kContextLines + 1, lines.size());
    for (std::size_t i = at - std::min(at, kContextLines); i < end; ++i)
      if (lines[i][2] != ' ') return true;
    return false;
  };
  std::string out;
  for (std::size_t at = 0; at < lines.size(); ++at)
    if (near_change(at)) out += lines[at] + "\n";
  return out;
}

std::string visible(std::string_view bytes) {
  constexpr std::string_view hex = "0123456789abcdef";
  std::string out;
  while (!bytes.empty()) {
    const std::size_t size = shown_size(bytes);
    out += bytes.substr(0, size);
    if (size == 0) {
      const auto byte = static_cast<unsigned char>(bytes.front());
      out += {'\\', 'x', hex[byte >> 4], hex[byte & 15]};
    }
    bytes.remove_prefix(std::max<std::size_t>(size, 1));
  }
  return out;
}

}  // namespace spillway::cases
