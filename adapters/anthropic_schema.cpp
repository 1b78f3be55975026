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
    Keyword{"not", Holds::schema},
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
};

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
    bool is_object = false;
    out_.begin_object();
    in_.enter_object();
    while (in_.next_member()) is_object = member() || is_object;
    if (is_object) out_.key("additionalProperties").boolean(false);
    out_.end_object();
  }
  [[nodiscard]] bool loosened() const { return loosened_; }

 private:
  // True when the member tells that the schema is one of an object.
  bool member() {
    const bool has_properties = in_.key() == "properties";
    const bool is_type = in_.key() == "type";
    if (in_.key() == "additionalProperties") {
      loosened_ = in_.raw() != "false" || loosened_;
      return false;
    }
    if (in_.key() == "minItems") {
      const std::string_view count = in_.raw();
      if (count == "0" || count == "1") {
        out_.key("minItems").raw(count);
      } else {
        loosened_ = true;
      }
      return false;
    }
    const Holds holds = what_holds(in_.key());
    if (holds == Holds::refused) {
      in_.skip();
      loosened_ = true;
      return false;
    }
    out_.key(in_.key() == "oneOf" ? JsonText::plain("anyOf") : in_.escaped_key());
    const std::string_view value = write_value(holds);
    return has_properties || (is_type && value.find("\"object\"") != std::string_view::npos);
  }

  std::string_view write_value(Holds holds) {
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
      const std::string_view value = in_.raw();
      out_.raw(value);
      return value;
    }
    return {};
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

void write_input_schema(std::string_view schema, Writer& out) {
  Reader in(schema);
  bool has_type = false;
  bool is_empty = true;
  if (in.peek() == Type::object && in.enter_object()) {
    while (in.next_member()) {
      is_empty = false;
      has_type = has_type || in.key() == "type";
    }
  }
  if (has_type) {
    out.raw(schema);
    return;
  }
  out.begin_object().key("type").string("object");
  if (is_empty) out.key("properties").begin_object().end_object();
  Reader again(schema);
  if (!is_empty && again.enter_object()) {
    while (again.next_member()) {
      out.key(again.escaped_key());
      out.raw(again.raw());
    }
  }
  out.end_object();
}

}  // namespace spillway::adapters::anthropic_upstream
