// Named deviations of a provider or an engine from its dialect. Data on a registry row; the meaning
// of each is what the comment says, and the code that acts on it asks for the name.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace spillway::quirk {

using Set = std::uint32_t;

inline constexpr Set max_completion_tokens =
    1U << 0;                                 // the output limit is sent as max_completion_tokens
inline constexpr Set no_sampling = 1U << 1;  // temperature, top_p and penalties are refused
inline constexpr Set no_stop = 1U << 2;      // stop is refused
inline constexpr Set no_stream_options = 1U << 3;  // stream_options is refused; usage comes anyway
inline constexpr Set usage_always = 1U << 4;       // usage comes in the stream without asking
inline constexpr Set usage_excludes_reasoning = 1U << 5;  // output tokens do not include reasoning
inline constexpr Set no_done = 1U << 6;                   // the stream ends without [DONE]
inline constexpr Set think_tags = 1U << 7;  // reasoning comes as <think>…</think> in the text
inline constexpr Set no_developer_role = 1U << 8;  // role developer is sent as system
inline constexpr Set short_tool_ids = 1U << 9;     // tool call ids must be 9 alphanumerics
inline constexpr Set irregular_stream = 1U
                                        << 10;  // never relayed raw: needs the transcript's repairs
inline constexpr Set reasoning_history =
    1U << 11;  // earlier reasoning is sent back as `reasoning_content`
inline constexpr Set reasoning_history_as_reasoning = 1U << 14;  // … as `reasoning`
inline constexpr Set images_inline_only = 1U << 12;              // image URLs are refused
inline constexpr Set no_parallel_tool_calls_field = 1U << 13;    // parallel_tool_calls is refused

// An effort is sent as a budget of reasoning tokens, not as a level.
inline constexpr Set reasoning_budget = 1U << 15;
// Reasoning cannot be switched off: effort "none" asks for the least there is.
inline constexpr Set reasoning_always = 1U << 16;
inline constexpr Set no_penalties = 1U << 17;        // presence and frequency penalty are refused
inline constexpr Set no_json_with_tools = 1U << 18;  // JSON output and tools are refused together
// A reasoning effort and tools are refused together, an engine's own effort included: it is sent as
// "none".
inline constexpr Set no_effort_with_tools = 1U << 19;
inline constexpr Set no_forced_tool_choice = 1U << 20;  // a choice that forces a call is refused
// A call can be forced, but not by the name of its tool.
inline constexpr Set no_named_tool_choice = 1U << 21;

inline constexpr Set no_stream = 1U << 22;  // a stream is refused: the answer is asked for whole
inline constexpr Set cache_control = 1U << 23;  // breakpoints of a prompt cache are taken
inline constexpr Set reasoning_details =
    1U << 24;  // earlier `reasoning_details` are sent back as they came

struct Name {
  std::string_view name;
  Set bit;
};
inline constexpr std::array kNames{
    Name{"max_completion_tokens", max_completion_tokens},
    Name{"no_sampling", no_sampling},
    Name{"no_stop", no_stop},
    Name{"no_stream_options", no_stream_options},
    Name{"usage_always", usage_always},
    Name{"usage_excludes_reasoning", usage_excludes_reasoning},
    Name{"no_done", no_done},
    Name{"think_tags", think_tags},
    Name{"no_developer_role", no_developer_role},
    Name{"short_tool_ids", short_tool_ids},
    Name{"irregular_stream", irregular_stream},
    Name{"reasoning_history", reasoning_history},
    Name{"reasoning_history_as_reasoning", reasoning_history_as_reasoning},
    Name{"images_inline_only", images_inline_only},
    Name{"no_parallel_tool_calls_field", no_parallel_tool_calls_field},
    Name{"reasoning_budget", reasoning_budget},
    Name{"reasoning_always", reasoning_always},
    Name{"no_penalties", no_penalties},
    Name{"no_json_with_tools", no_json_with_tools},
    Name{"no_effort_with_tools", no_effort_with_tools},
    Name{"no_forced_tool_choice", no_forced_tool_choice},
    Name{"no_named_tool_choice", no_named_tool_choice},
    Name{"no_stream", no_stream},
    Name{"cache_control", cache_control},
    Name{"reasoning_details", reasoning_details},
};

}  // namespace spillway::quirk
