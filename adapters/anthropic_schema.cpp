// Fits a JSON schema to Anthropic's structured outputs and tools.
// https://platform.claude.com/docs/en/build-with-claude/structured-outputs ("JSON Schema
// limitations")

#include <algorithm>
#include <array>

#include "anthropic_upstream.h"

namespace spillway::adapters::anthropic_upstream {
namespace {

using json::Reader;
using json::Type;
using json::Writer;

// What the value of a keyword is, as far as it matters here. Keywords without a row pass as they
// are.
enum class Holds : std::uint8_t { raw, schema, schemas, named_schemas, refused };
struct Keyword {
  std::string_view name;
  Holds holds;
};
constexpr std::array kKeywords{
    Keyword{"items", Holds::schema},
    Keyword{"anyOf", Holds::schemas},
    Keyword{"oneOf", Holds::schemas},
    Keyword{"allOf", Holds::schemas},
    Keyword{"prefixItems", Holds::schemas},
    Keyword{"properties", Holds::named_schemas},
    Keyword{"$defs", Holds::named_schemas},
    Keyword{"definitions", Holds::named_schemas},
    Keyword{"minimum", Holds::refused},
    Keyword{"maximum", Holds::refused},
    Keyword{"exclusiveMinimum", Holds::refused},
    Keyword{"exclusiveMaximum", Holds::refused},
    Keyword{"multipleOf", Holds::refused},
    Keyword{"minLength", Holds::refused},
    Keyword{"maxLength", Holds::refused},
    Keyword{"maxItems", Holds::refused},
    Keyword{"uniqueItems", Holds::refused},
    Keyword{"minProperties", Holds::refused},
    Keyword{"maxProperties", Holds::refused},
    Keyword{"patternProperties", Holds::refused},
    Keyword{"propertyNames", Holds::refused},
    Keyword{"unevaluatedProperties", Holds::refused},
    Keyword{"unevaluatedItems", Holds::refused},
    Keyword{"contains", Holds::refused},
    Keyword{"minContains", Holds::refused},
    Keyword{"maxContains", Holds::refused},
    Keyword{"dependentRequired", Holds::refused},
    Keyword{"dependentSchemas", Holds::refused},
    Keyword{"dependencies", Holds::refused},
    Keyword{"not", Holds::refused},
    Keyword{"if", Holds::refused},
    Keyword{"then", Holds::refused},
    Keyword{"else", Holds::refused},
};

// Of `format`.
constexpr std::array<std::string_view, 10> kFormats{
    R"("date-time")", R"("date")", R"("time")", R"("duration")", R"("email")",
    R"("hostname")",  R"("uri")",  R"("ipv4")", R"("ipv6")",     R"("uuid")"};

Holds what_holds(std::string_view name) {
  const auto found = std::find_if(kKeywords.begin(), kKeywords.end(),
                                  [name](const Keyword& keyword) { return keyword.name == name; });
  return found == kKeywords.end() ? Holds::raw : found->holds;
}

// Recursion is bounded by the reader: limits::json_depth_max.
class SchemaWriter {
 public:
  SchemaWriter(std::string_view schema, Writer& out) : in_(schema), out_(out) {}

  void schema() {
    if (in_.peek() != Type::object) {
      out_.raw(in_.raw());
      return;
    }
    Seen seen;
    out_.begin_object();
    in_.enter_object();
    while (in_.next_member()) member(seen);
    if (seen.is_object) out_.key("additionalProperties").boolean(false);
    // Nothing but {} is left of an object that may hold anything.
    loosened_ = loosened_ || (seen.is_object && !seen.has_properties && !seen.is_closed);
    out_.end_object();
  }
  [[nodiscard]] bool loosened() const { return loosened_; }

 private:
  // What the members of one schema have told so far.
  struct Seen {
    bool is_object = false;
    bool has_properties = false;
    bool is_closed = false;
    bool has_choice = false;  // anyOf, or oneOf that is written as such
  };

  void member(Seen& seen) {
    if (in_.key() == "additionalProperties") {
      seen.is_closed = in_.raw() == "false";
      loosened_ = loosened_ || !seen.is_closed;
      return;
    }
    if (in_.key() == "minItems" || in_.key() == "format") return write_if_taken(in_.escaped_key());
    const bool is_one_of = in_.key() == "oneOf";
    const bool is_choice = is_one_of || in_.key() == "anyOf";
    const Holds holds = what_holds(in_.key());
    // Of several that match, one more than one may.
    loosened_ = loosened_ || is_one_of;
    if (holds == Holds::refused || (is_choice && seen.has_choice)) {
      in_.skip();
      loosened_ = true;
      return;
    }
    seen.has_choice = seen.has_choice || is_choice;
    const bool is_type = in_.key() == "type";
    const bool is_properties = in_.key() == "properties";
    out_.key(is_one_of ? JsonText::plain("anyOf") : in_.escaped_key());
    const std::size_t begin = out_.out().size();
    write_value(holds);
    const std::string_view written = std::string_view(out_.out()).substr(begin);
    if (is_properties) seen.has_properties = !json::is_empty(written);
    seen.is_object = seen.is_object || is_properties ||
                     (is_type && written.find("\"object\"") != std::string_view::npos);
  }

  // Keywords of which only some values are taken.
  void write_if_taken(JsonText keyword) {
    const bool is_format = in_.key() == "format";
    const std::string_view value = in_.raw();
    const bool taken = is_format
                           ? std::find(kFormats.begin(), kFormats.end(), value) != kFormats.end()
                           : value == "0" || value == "1";
    loosened_ = loosened_ || !taken;
    if (taken) out_.key(keyword).raw(value);
  }

  void write_value(Holds holds) {
    const Type type = in_.peek();
    if (holds == Holds::schema) {
      schema();
    } else if (holds == Holds::schemas && type == Type::array) {
      out_.begin_array();
      in_.enter_array();
      while (in_.next_element()) schema();
      out_.end_array();
    } else if (holds == Holds::named_schemas && type == Type::object) {
      out_.begin_object();
      in_.enter_object();
      while (in_.next_member()) {
        out_.key(in_.escaped_key());
        schema();
      }
      out_.end_object();
    } else {
      out_.raw(in_.raw());
    }
  }

  Reader in_;
  Writer& out_;
  bool loosened_ = false;
};

}  // namespace

bool write_output_schema(std::string_view schema, Writer& out) {
  SchemaWriter writer(schema, out);
  writer.schema();
  return writer.loosened();
}

bool write_input_schema(std::string_view schema, Writer& out) {
  const auto is_choice = [](std::string_view key) {
    return key == "anyOf" || key == "oneOf" || key == "allOf";
  };
  Reader in(schema);
  bool has_type = false;
  bool has_choice = false;
  bool is_empty = true;
  if (in.peek() == Type::object && in.enter_object()) {
    while (in.next_member()) {
      is_empty = false;
      has_type = has_type || in.key() == "type";
      has_choice = has_choice || is_choice(in.key());
    }
  }
  if (has_type && !has_choice) {
    out.raw(schema);
    return false;
  }
  out.begin_object();
  if (!has_type) out.key("type").string("object");
  if (is_empty) out.key("properties").begin_object().end_object();
  Reader again(schema);
  if (!is_empty && again.enter_object()) {
    while (again.next_member()) {
      if (is_choice(again.key())) continue;
      out.key(again.escaped_key());
      out.raw(again.raw());
    }
  }
  out.end_object();
  return has_choice;
}

}  // namespace spillway::adapters::anthropic_upstream
