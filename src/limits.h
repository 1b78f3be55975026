// Every bound of the core, each with its reason. A number that limits anything stands here and
// nowhere else. Sizes are bytes, times are milliseconds, unless the name says otherwise.
#pragma once

#include <cstddef>
#include <cstdint>

namespace spillway::limits {

inline constexpr std::size_t KiB = 1024;
inline constexpr std::size_t MiB = 1024 * KiB;
inline constexpr std::int64_t second_ms = 1000;
inline constexpr std::int64_t minute_ms = 60 * second_ms;
inline constexpr std::int64_t day_ms = 24 * (60 * minute_ms);

// A chat body with a few photographs is 10 MB; an isolate has 128 MB for all its requests.
inline constexpr std::size_t request_bytes_max = 16 * MiB;
// Names, URL and headers of one request. Runtimes themselves stop at 16 to 128 KB.
inline constexpr std::size_t head_bytes_max = 256 * KiB;
// What the host hands over in one call: the configuration with the environment (a Worker's secrets
// and variables have 1 MB at most), a head, or a piece of a body.
inline constexpr std::size_t input_bytes_max = 8 * MiB;
// Bodies of all requests that are read or not answered yet: an isolate has 128 MB, a body is copied
// once when it goes to a provider.
inline constexpr std::size_t bodies_bytes_max = 48 * MiB;
inline constexpr std::size_t bodies_bytes_max_max = 2048 * MiB;  // elsewhere there may be more
// Of a body that is refused so much is read, and dropped: many clients look for an answer only when
// they have sent all, and a server that cuts them off takes the refusal from them.
inline constexpr std::size_t dropped_bytes_max = 64 * MiB;
// From the head of a request to the end of its body.
inline constexpr std::int64_t body_ms = 30 * second_ms;
// What one client may have of the chats and the bytes of an instance, in thousandths.
inline constexpr std::int64_t client_share_per_mille = 500;
// Objects and arrays inside one another: real tool schemas reach about 30; bounds the skip stack.
inline constexpr unsigned json_depth_max = 128;
// Digits that one number may have where its value is used (as a raw span it may be longer).
inline constexpr std::size_t number_digits_max = 64;
// One SSE event or NDJSON line. The largest recorded is 0.3 MB (an image in one event).
inline constexpr std::size_t frame_bytes_max = 8 * MiB;
// Upstream bytes held while nothing of them may reach the client yet: role chunks and pings.
inline constexpr std::size_t held_bytes_max = 256 * KiB;
// An answer gathered whole for a client that does not stream.
inline constexpr std::size_t answer_bytes_max = 16 * MiB;
// What of a stream is no event, kept for the reason why it ended early.
inline constexpr std::size_t stray_bytes_max = 4 * KiB;
// What a provider calls an answer (its id, its model): printed with every chunk of it. Longer ones
// count as not given; the longest recorded has 70 bytes.
inline constexpr std::size_t answer_name_bytes_max = 512;
// An upstream error body: enough for the reason; the rest is not read.
inline constexpr std::size_t error_body_bytes_max = 64 * KiB;
// A provider's reason as it is told to the client, in bytes of UTF-8.
inline constexpr std::size_t reason_bytes_max = 2000;
// Where two engines' texts are joined: a repetition this short may be chance; one this long, or a
// beginning this much alike, is none.
inline constexpr std::size_t seam_sample_bytes = 8;
inline constexpr std::size_t seam_beginning_bytes = 24;
// Places in the old text that are followed at once: text that repeats itself has many.
inline constexpr std::size_t seam_places_max = 64;
// What a client has of an answer is kept so that another engine can go on with it. A longer one is
// told as cut.
inline constexpr std::size_t rescue_text_bytes_max = MiB;
// The words that ask for it: a route's, or a request's.
inline constexpr std::size_t instruction_bytes_max = 2000;
// How often one answer may break off and be gone on with.
inline constexpr int rescues_max = 3;
// What is remembered of how soon an engine begins to answer: so many of its last answers; with
// fewer than the least there is no 95th percentile.
inline constexpr std::size_t pace_samples_max = 32;
inline constexpr std::size_t pace_samples_min = 20;
// Engines of which that is remembered: those of routes that hedge.
inline constexpr std::size_t pace_engines_max = 256;
// Hedged requests that may be saved up while nothing is slow. An overload makes everything slow:
// then it is the share that counts.
inline constexpr std::int64_t hedges_saved_max = 10;
// White space in front of a <think> tag, as JSON has it: templates print two line ends. It is
// looked at again with each piece until more comes.
inline constexpr std::size_t think_white_bytes_max = 64;
// Tool calls in one answer; providers refuse more than 128 tools.
inline constexpr std::size_t tool_calls_max = 256;
// Tokens that a provider may count in one answer: a hundred times the largest window. What is more
// is a mistake or malice, and counts as not told; sums of a few and their price stay in 64 bits.
inline constexpr std::int64_t tokens_max = 1'000'000'000;
// Messages of one request. The largest windows hold a few thousand turns.
inline constexpr std::size_t messages_max = 10'000;
// Content parts of all messages of one request together.
inline constexpr std::size_t parts_max = 100'000;
// Top-level members of one request that we do not know; providers have a few dozen in all. Five
// bytes of a body would cost us a hundred.
inline constexpr std::size_t extras_max = 1000;
// OpenAI's own bound on tools.
inline constexpr std::size_t tools_max = 1024;
// Stop sequences: OpenAI takes 4, Gemini 5; a provider may refuse fewer itself.
inline constexpr std::size_t stop_sequences_max = 16;
// A name: of a model, an engine, a route, a provider, a client. It goes into headers and the log.
inline constexpr std::size_t name_bytes_max = 512;
// What a client wrote, as it is quoted in an error.
inline constexpr std::size_t quote_bytes_max = 128;
// A client's key. Keys are random texts of 20 to 200 bytes.
inline constexpr std::size_t client_key_bytes_max = 512;
// Clients of one config, and their keys together: each request is held against all keys.
inline constexpr std::size_t clients_max = 256;
inline constexpr std::size_t client_keys_max = 1024;
// Engines in one fallback chain.
inline constexpr std::size_t chain_max = 64;
// `attempts_max` and `attempts_per_engine` of a policy: more only multiplies the bill.
inline constexpr int attempts_max = 32;
// `repeat` of a policy, for each kind of failure.
inline constexpr int repeats_max = 8;
// The client that SPILLWAY_KEYS makes: upstream requests for one of its own.
inline constexpr int default_client_attempts_max = 8;
// Chats open at once in one instance: beyond it a new one gets a 503 at once.
inline constexpr std::size_t chats_max = 10'000;
// Keys in one provider's pool (NAME, NAME_2 … NAME_32).
inline constexpr int keys_per_provider_max = 32;
// Engines whose health is remembered; the stalest is forgotten first.
inline constexpr std::size_t health_entries_max = 4096;
// Engines of no config, of which it is remembered what they refuse.
inline constexpr std::size_t learned_engines_max = 256;
// x-spillway-* and server-timing together: Node's fetch refuses a response with more than 16 KB of
// headers. The name of the engine that answered takes 1.5 KB at most, and each list so much.
inline constexpr std::size_t told_bytes_max = 4096;
inline constexpr std::size_t told_list_bytes_max = 800;
// Names of what is dropped, and bytes of one as it is told: a client names its own unknown fields.
inline constexpr std::size_t dropped_names_max = 32;
inline constexpr std::size_t dropped_name_bytes_max = 64;
// A provider's own error code: the longest recorded has 71 bytes ("The caller does not have
// permission to execute …"); what is longer is no code.
inline constexpr std::size_t error_code_bytes_max = 160;
// Config texts together.
inline constexpr std::size_t config_bytes_max = MiB;

// Any deadline in a policy: one day.
inline constexpr std::int64_t timeout_ms_max = day_ms;
// Cooldowns: the first, and the cap of doubling and of what a provider may ask for.
inline constexpr std::int64_t cooldown_ms = minute_ms;
inline constexpr std::int64_t cooldown_ms_max = 30 * minute_ms;
// A key that is refused or out of credit: a human must act first.
inline constexpr std::int64_t set_aside_ms = 30 * minute_ms;
// A model that is gone comes back as rarely as a provider changes its mind.
inline constexpr std::int64_t gone_ms = day_ms;
// So long before a provider ends an engine there are warnings, once a day: most announce it 60 days
// before or earlier.
inline constexpr std::int64_t ending_notice_ms = 60 * day_ms;
// Backoff between attempts on one engine: the first, doubled each time, with full jitter.
inline constexpr std::int64_t backoff_ms = 250;
inline constexpr std::int64_t backoff_ms_max = 8000;
// A finished answer waits this long for its usage and terminator, then counts as complete.
inline constexpr std::int64_t finish_grace_ms = 2000;
// After the dialect's terminator only the connection's reuse is gained by waiting for the body's
// end, and a client that does not stream has nothing yet: ends come with it or a round trip later.
inline constexpr std::int64_t terminator_grace_ms = 50;
// How far the copy of a spliced body may be behind what the client has: hosts hand it over every
// two seconds (docs/ARCHITECTURE.md, "Splice").
inline constexpr std::int64_t splice_lag_ms = 2500;

// Of an answer that nobody reads before it is whole, what has come is handed over so often, or in
// so many parts of the silence that is allowed, whatever is sooner.
inline constexpr std::int64_t gather_ms_max = second_ms;
inline constexpr std::int64_t gathers_a_silence = 10;

// What providers bound themselves.
// Anthropic wants an output limit always. When the client names none: not the engine's own, for on
// engines of 200,000 tokens the prompt and the limit must fit the window together.
inline constexpr std::int64_t anthropic_output_tokens = 32'000;
// When the engine's limit is not known either: what every model since 2024 can.
inline constexpr std::int64_t anthropic_output_tokens_unknown = 8'192;
// thinking.budget_tokens: the least that is taken; it must also be less than max_tokens.
inline constexpr std::int64_t anthropic_thinking_tokens_min = 1'024;
inline constexpr std::size_t anthropic_user_id_bytes_max = 256;
// Blocks with cache_control in one request.
inline constexpr std::size_t anthropic_cache_marks_max = 4;
// Gemini's generationConfig.stopSequences takes this many.
inline constexpr std::size_t gemini_stop_sequences_max = 5;
// thinkingConfig.thinkingBudget: what all of Gemini 2.5 takes; Pro cannot go below 128.
inline constexpr std::int64_t gemini_thinking_tokens_min = 128;
inline constexpr std::int64_t gemini_thinking_tokens_max = 24'576;

}  // namespace spillway::limits
