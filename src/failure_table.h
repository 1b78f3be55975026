// What providers' errors mean, as data: the whole knowledge of classify() apart from shapes.
//
// A row reads: under this status, when this word or phrase was said, it is this kind. The first row
// that matches wins; when none does, kStatuses decides. Texts are lower case.
//
// Rules for a new row
// * A word is one whole code, type, status word or reason; prefer it to a phrase.
// * A phrase is looked for in the message and in the words. Messages quote the client (names of
//   tools, values of fields), so a phrase is long enough to be no one's accident, or narrow in
//   status. Phrases that would blame an engine or a key are not looked for inside quotes, and not
//   at all when the name of the model that was asked for holds them: that is the client's too.
// * The comment says where it was seen. "recorded": tests/failure_table.txt has it; else it is from
//   the provider's documentation or public reports.
// * Within a section order does not matter; sections go from the special to the general.
#pragma once

#include <cstdint>
#include <string_view>

#include "failure.h"

namespace spillway::failure_table {

// Under which statuses a row holds: one status, or a class of them.
using When = int;
inline constexpr When kAny = 0;
inline constexpr When kInBand = 2;  // inside a 200, and the body gives no status of its own
inline constexpr When kBusy = 3;    // in band, 429 or 5xx: the request itself is not in question
inline constexpr When kServer = 5;  // 5xx
inline constexpr When kDenied = 6;  // 401 and 403: the key, or what it may not use
inline constexpr When kMoney = 7;   // 402, 403 and 429: the account, or what it cannot pay at once

[[nodiscard]] constexpr bool holds(When when, int status) {
  const bool in_band = status < 300;
  const bool server = status >= 500;
  switch (when) {
    case kAny:
      return true;
    case kInBand:
      return in_band;
    case kBusy:
      return in_band || server || status == 429;
    case kServer:
      return server;
    case kDenied:
      return status == 401 || status == 403;
    case kMoney:
      return status == 402 || status == 403 || status == 429;
    default:
      return when == status;
  }
}

enum class Said : std::uint8_t { word, phrase };
inline constexpr Said word = Said::word;
inline constexpr Said phrase = Said::phrase;

struct Row {
  When when;
  Said said;
  std::string_view text;
  FailureKind kind;
};

using enum FailureKind;

inline constexpr Row kRows[] = {
    // --- Plain words that a later row or the status would misread.
    // Cohere: the output, not the prompt.
    {kAny, phrase, "too many tokens: max tokens must be", bad_request},
    {404, phrase, "is not supported in this model", bad_request},  // OpenAI: tools; recorded
    // These quote a name of the client's own, without quotes.
    {400, phrase, "unrecognized request argument", bad_request},    // OpenAI
    {kAny, phrase, "extra inputs are not permitted", bad_request},  // Anthropic, Mistral; recorded
    // OpenRouter: no one serves tools for it; it is there for others. Recorded.
    {404, phrase, "no endpoints found that support", bad_request},
    // llama.cpp tells some mistakes of the request as a 500. Recorded.
    {500, phrase, "tools param requires", bad_request},
    {500, phrase, "input is not supported - hint", bad_request},
    {500, phrase, "cannot use both", bad_request},
    // Something of the client's own that is gone says nothing about the model or the key.
    {404, phrase, "file not found", bad_request},                 // Anthropic
    {403, phrase, "permission to access the file", bad_request},  // Gemini
    {403, phrase, "cachedcontent not found", bad_request},        // Gemini
    // The model wrote a tool call that does not parse. Neither the request nor the engine is to
    // blame; another model may do better. Groq says so as a 400 and inside streams; both recorded.
    {kAny, word, "tool_use_failed", empty},
    {kAny, phrase, "malformed function call", empty},  // Gemini behind OpenRouter; recorded
    // OpenRouter: the pool that all its users share, not this key. Recorded.
    {429, phrase, "rate-limited upstream", overloaded},
    // A proxy's own page in front of the provider: no key was looked at.
    {403, phrase, "just a moment...", network},             // Cloudflare's challenge
    {403, phrase, "attention required!", network},          // Cloudflare's firewall
    {403, phrase, "missing authentication token", server},  // Amazon API Gateway: no such path

    // --- Content. Before auth: some tell it as a 403 "permission denied".
    {kAny, word, "content_filter", content_filter},                // Azure (recorded), Moonshot
    {kAny, word, "content_policy_violation", content_filter},      // OpenAI
    {kAny, word, "responsibleaipolicyviolation", content_filter},  // Azure; recorded
    {kAny, word, "cyber_policy", content_filter},                  // OpenAI
    {kAny, word, "data_inspection_failed", content_filter},        // Alibaba
    {kAny, word, "datainspectionfailed", content_filter},          // Alibaba
    {kAny, word, "blockreason", content_filter},                   // Gemini: promptFeedback
    {kAny, phrase, "content management policy", content_filter},   // Azure; recorded
    {kAny, phrase, "content filtering policy", content_filter},    // Anthropic
    {kAny, phrase, "content violates usage guidelines", content_filter},  // xAI; recorded
    {kAny, phrase, "violating our usage policy", content_filter},       // OpenAI: reasoning models
    {kAny, phrase, "result of our safety system", content_filter},      // OpenAI
    {kAny, phrase, "this content for safety reasons", content_filter},  // OpenAI
    {kAny, phrase, "your input was flagged", content_filter},           // OpenRouter: 403
    {kAny, phrase, "content exists risk", content_filter},              // DeepSeek
    {kAny, phrase, "contain inappropriate content", content_filter},    // Alibaba
    {kAny, phrase, "was considered high risk", content_filter},         // Moonshot
    {kAny, phrase, "unsafe or sensitive content", content_filter},      // z.ai 1301

    // --- The model. Google's "limit: 0" is a tier that has none of it: no wait will change that.
    {kAny, phrase, ", limit: 0", model_not_found},          // Gemini's free tier
    {kAny, word, "model_not_found", model_not_found},       // OpenAI, Groq, Doubleword; recorded
    {kAny, word, "model_decommissioned", model_not_found},  // Groq; recorded
    {kAny, word, "deploymentnotfound", model_not_found},    // Azure; recorded
    {kAny, word, "invalid_model", model_not_found},         // Mistral; recorded
    {kAny, word, "model_not_available", model_not_found},   // Together
    {kAny, word, "model_not_supported", model_not_found},   // Hugging Face, Copilot
    {kAny, word, "unknown_model", model_not_found},         // GitHub Models
    {kAny, word, "unavailable_model", model_not_found},     // GitHub Models
    {kAny, word, "unsupported_country_region_territory", model_not_found},  // OpenAI, by place
    {400, word, "5007", model_not_found},                                   // Cloudflare
    // What this key may not use: others of its models it may.
    {kDenied, word, "model_permission_blocked_org", model_not_found},      // Groq
    {kDenied, word, "model_permission_blocked_project", model_not_found},  // Groq
    {kDenied, word, "no_access", model_not_found},                         // GitHub Models
    {kDenied, phrase, "_model_access_denied", model_not_found},            // LiteLLM: key_, team_ …
    {kDenied, phrase, "allowed to access model", model_not_found},         // LiteLLM
    {kDenied, phrase, "have access to model", model_not_found},            // OpenAI: a project
    {kDenied, phrase, "no access to model", model_not_found},              // GitHub Models
    {kAny, phrase, "no such model", model_not_found},                      // Cloudflare
    {kAny, phrase, "model not found", model_not_found},               // xAI (400), Venice; recorded
    {kAny, phrase, "model does not exist", model_not_found},          // SiliconFlow
    {kAny, phrase, "unknown model", model_not_found},                 // z.ai 1211
    {kAny, phrase, "invalid model name", model_not_found},            // LiteLLM
    {400, phrase, "is not a valid model id", model_not_found},        // OpenRouter; recorded
    {400, phrase, "model identifier is invalid", model_not_found},    // Bedrock; recorded
    {400, phrase, "with on-demand throughput isn", model_not_found},  // Bedrock; recorded
    {400, phrase, "supported api model names are", model_not_found},  // DeepSeek; recorded
    {400, phrase, "allowed now, your model", model_not_found},        // Hyperbolic; recorded
    {400, phrase, "does not work with the specified model", model_not_found},  // Azure
    {400, phrase, "user location is not supported", model_not_found},          // Gemini, by place
    {400, phrase, "could not route to", model_not_found},        // Cloudflare 7003: the path
    {403, phrase, "have access to the model", model_not_found},  // Bedrock; recorded
    {403, phrase, "not allowed to sample from this model", model_not_found},  // OpenAI; recorded
    {422, phrase, "template not found", model_not_found},  // TGI: a base model; recorded

    // --- The window. The words of each provider: there is no common code.
    {kAny, word, "context_length_exceeded", context_too_long},           // OpenAI, Groq, Cerebras
    {kAny, word, "exceed_context_size_error", context_too_long},         // llama.cpp; recorded
    {kAny, word, "too_many_prompt_tokens", context_too_long},            // Perplexity
    {kAny, word, "too_many_tokens", context_too_long},                   // Cohere
    {kAny, word, "model_max_prompt_tokens_exceeded", context_too_long},  // Copilot
    {kAny, word, "invalid_request_prompt_too_long", context_too_long},   // Mistral
    {kAny, phrase, "maximum context length", context_too_long},          // OpenAI, DeepSeek, vLLM …
    {kAny, phrase, "exceeds the context window", context_too_long},      // OpenAI Responses
    {kAny, phrase, "prompt is too long", context_too_long},              // Anthropic, Fireworks
    {kAny, phrase, "exceed context limit", context_too_long},  // Anthropic: input and max_tokens
    {kAny, phrase, "input token count", context_too_long},     // Gemini, Vertex
    {kAny, phrase, "maximum prompt length is", context_too_long},            // xAI
    {kAny, phrase, "reduce the length of the messages", context_too_long},   // Groq, Cerebras
    {kAny, phrase, "exceeds the available context size", context_too_long},  // llama.cpp; recorded
    {kAny, phrase, "context size has been exceeded", context_too_long},      // llama.cpp
    {kAny, phrase, "greater than the context length", context_too_long},     // LM Studio
    {kAny, phrase, "input length exceeds", context_too_long},                // Ollama
    {kAny, phrase, "exceeded max context length", context_too_long},         // Ollama
    {kAny, phrase, "too large for model with", context_too_long},            // Mistral
    {kAny, phrase, "context window exceeded", context_too_long},             // proxies
    {kAny, phrase, "maximum allowed input length", context_too_long},        // Together
    {kAny, phrase, "context window exceeds limit", context_too_long},        // MiniMax
    {kAny, phrase, "context window limit", context_too_long},                // Cloudflare 5021
    {kAny, phrase, "exceeded model token limit", context_too_long},          // Moonshot
    {kAny, phrase, "range of input length should be", context_too_long},     // Alibaba
    {kAny, phrase, "prompt exceeds max length", context_too_long},           // z.ai 1261
    {kAny, phrase, "prompt token count of", context_too_long},               // Copilot
    {kAny, phrase, "input is too long for", context_too_long},               // Bedrock
    {kAny, phrase, "too many input tokens", context_too_long},               // Bedrock
    {kAny, phrase, "too many tokens: ", context_too_long},  // Cohere; Bedrock throttles without ":"
    {kAny, phrase, "longer than the maximum model length", context_too_long},    // vLLM
    {kAny, phrase, "longer than the model's context length", context_too_long},  // SGLang
    {kAny, phrase, "`max_new_tokens` must be", context_too_long},                // TGI, Together
    {kAny, phrase, "`inputs` must have less than", context_too_long},            // TGI
    {403, phrase, "context length", context_too_long},                           // Together
    {403, phrase, "max_tokens", context_too_long},                               // Together

    // --- One request over a limit that is not the model's window: the account's tokens a minute,
    // or
    // the provider's bytes. Waiting never helps; another provider may take it, even with a smaller
    // window.
    {413, word, "rate_limit_exceeded", too_large},       // Groq
    {kAny, word, "tokens_limit_reached", too_large},     // GitHub Models
    {kAny, word, "request_too_large", too_large},        // Anthropic
    {kAny, phrase, "request too large for", too_large},  // OpenAI (429), Groq (413)
    {kAny, phrase, "payload size exceeds", too_large},   // Gemini (400)
    {400, phrase, "image exceeds", too_large},           // Anthropic
    // What the account has left is enough for a smaller one. OpenRouter: 402 "This request requires
    // more credits, or fewer max_tokens. … but can only afford …".
    // (A 429 that speaks of max_tokens is a limit per minute: it passes.)
    {402, phrase, "max_tokens", too_large},
    {402, phrase, "fewer tokens", too_large},
    {kMoney, phrase, "afford", too_large},
    {402, phrase, "prompt tokens limit exceeded", too_large},  // OpenRouter

    // --- The key.
    {kAny, word, "invalid_api_key", auth},               // OpenAI, Groq, Together; recorded
    {kAny, word, "api_key_invalid", auth},               // Gemini: 400; recorded
    {kAny, word, "authentication_error", auth},          // Anthropic, DeepSeek, llama.cpp; recorded
    {kAny, word, "invalid_authentication_error", auth},  // Moonshot
    {kAny, word, "unauthenticated", auth},               // Google
    {kAny, word, "expiredtokenexception", auth},         // AWS; recorded
    {kAny, word, "invalidsignatureexception", auth},     // AWS; recorded
    {kAny, word, "unrecognizedclientexception", auth},   // AWS
    {kAny, word, "service_disabled", auth},              // Google: the key's project has no API
    {kAny, word, "consumer_suspended", auth},            // Google
    {kAny, word, "consumer_invalid", auth},              // Google
    {kAny, word, "api_key_service_blocked", auth},       // Google
    {kAny, word, "api_key_ip_address_blocked", auth},    // Google
    {kAny, word, "api_key_http_referrer_blocked", auth},  // Google
    {kAny, phrase, "incorrect api key", auth},            // xAI: 400; recorded
    {kAny, phrase, "api key not valid", auth},            // Gemini: 400; recorded
    {kAny, phrase, "api key expired", auth},              // Gemini: 400
    {kAny, phrase, "invalid api key", auth},              // Mistral, llama.cpp; recorded

    // --- Money. Google says "exceeded your current quota" for a limit per minute too, with a
    // RetryInfo: its own word for it goes first.
    {kAny, phrase, "credits are depleted", quota_exhausted},         // Gemini, prepaid
    {kBusy, word, "resource_exhausted", rate_limited},               // Gemini, Vertex; recorded
    {kAny, word, "insufficient_quota", quota_exhausted},             // OpenAI, also inside a 200
    {kAny, word, "billing_hard_limit_reached", quota_exhausted},     // OpenAI
    {kAny, word, "billing_not_active", quota_exhausted},             // OpenAI
    {kAny, word, "exceeded_current_quota_error", quota_exhausted},   // Moonshot
    {kAny, word, "billing_error", quota_exhausted},                  // Anthropic
    {kAny, word, "billing_disabled", quota_exhausted},               // Google: 403
    {kAny, word, "blocked_api_access", quota_exhausted},             // Groq: 400, spend limit
    {kAny, word, "arrearage", quota_exhausted},                      // Alibaba: 400
    {kAny, word, "servicequotaexceededexception", quota_exhausted},  // Bedrock: 400
    {429, word, "3036", quota_exhausted},                            // Cloudflare: the day's
    {kAny, phrase, "daily free allocation", quota_exhausted},        // Cloudflare
    {kAny, phrase, "exceeded your current quota", quota_exhausted},  // OpenAI
    {kAny, phrase, "credit balance is too low", quota_exhausted},    // Anthropic: 400
    {kAny, phrase, "specified api usage limits", quota_exhausted},   // Anthropic: 400
    {kAny, phrase, "insufficient balance", quota_exhausted},         // DeepSeek, z.ai, MiniMax
    {kAny, phrase, "insufficient credits", quota_exhausted},         // OpenRouter
    {kAny, phrase, "requires more credits", quota_exhausted},        // OpenRouter: 402
    {kAny, phrase, "key limit exceeded", quota_exhausted},           // OpenRouter: 403
    {kAny, phrase, "used all available credits", quota_exhausted},   // xAI: 429, 403
    {kAny, phrase, "spending limit", quota_exhausted},               // xAI, Fireworks (412)
    {kAny, phrase, "spend limit", quota_exhausted},                  // Groq
    {kAny, phrase, "credit limit exceeded", quota_exhausted},        // Together
    {kAny, phrase, "monthly included credits", quota_exhausted},     // Hugging Face
    {kAny, phrase, "account is suspended", quota_exhausted},         // Moonshot, Fireworks
    {kAny, phrase, "too many tokens per day", quota_exhausted},      // Bedrock

    // --- No room for anyone. Before rate_limited: some tell it as a 429.
    {kAny, word, "overloaded_error", overloaded},                  // Anthropic, also inside a 200
    {kAny, word, "engine_overloaded_error", overloaded},           // Moonshot
    {kBusy, word, "unavailable", overloaded},                      // Google
    {kAny, word, "serviceunavailableexception", overloaded},       // AWS; recorded
    {kAny, word, "modelnotreadyexception", overloaded},            // AWS: 429
    {kAny, word, "capacity_exceeded", overloaded},                 // Groq: 498
    {kAny, word, "queue_exceeded", overloaded},                    // Cerebras: 429
    {429, word, "3040", overloaded},                               // Cloudflare
    {kBusy, phrase, "overloaded", overloaded},                     // Anthropic (500), OpenAI, z.ai
    {kBusy, phrase, "capacity exceeded", overloaded},              // Mistral: 429
    {kBusy, phrase, "capacity temporarily exceeded", overloaded},  // Cloudflare
    {kBusy, phrase, "no healthy upstream", overloaded},            // Envoy
    {kBusy, phrase, "is currently loading", overloaded},           // Hugging Face
    {400, phrase, "degraded function cannot be invoked", overloaded},  // NVIDIA

    // --- Too fast.
    {kAny, word, "rate_limit_exceeded", rate_limited},       // OpenAI, Groq
    {kAny, word, "rate_limit_error", rate_limited},          // Anthropic, also inside a 200
    {kAny, word, "rate_limit_reached_error", rate_limited},  // Moonshot
    {kAny, word, "throttlingexception", rate_limited},       // AWS, also as an exception frame
    {kBusy, phrase, "rate limit", rate_limited},             // behind a proxy's 5xx
    {kBusy, phrase, "too many requests", rate_limited},
    {403, phrase, "rate limit exceeded", rate_limited},

    // --- Too slow.
    {kAny, word, "timeout_error", timeout},          // Anthropic, also inside a 200
    {kAny, word, "deadline_exceeded", timeout},      // Google
    {kAny, word, "modeltimeoutexception", timeout},  // AWS
    {kServer, phrase, "timed out", timeout},
    {kInBand, phrase, "timed out", timeout},

    // --- Inside a 200, where only general types are left to tell whose fault it is.
    {kInBand, word, "not_found_error", model_not_found},    // Anthropic
    {kInBand, word, "not_found", model_not_found},          // Google
    {kInBand, word, "invalid_request_error", bad_request},  // OpenAI and its relatives
    {kInBand, word, "invalid_argument", bad_request},       // Google
    {kInBand, word, "validationexception", bad_request},    // AWS
};

// Codes that deny something, and say no more than a 403 does.
inline constexpr std::string_view kDenyingWords[] = {
    "accessdeniedexception",  // AWS
    "permission_error",       // Anthropic
    "permission_denied",      // Google
};

// What denies something may mean the key, what the key may not use, or neither. It is the key when
// these words say that it is wrong …
inline constexpr std::string_view kKeyPhrases[] = {
    "authenticat",    "credential",       "expired",          "revoked",
    "invalid token",  "invalid api",      "invalid key",      "token is invalid",
    "key is invalid", "key is not valid", "api key provided",
};
// … else the model when it is named, by its name or in these words …
inline constexpr std::string_view kModelPhrases[] = {
    "the model",          "this model", "specified model", "requested model",
    "specified resource",  // Anthropic
};
// … else the key, or an account that is closed, when that is named. What is left says nothing of
// who asked: a page of a proxy or a firewall, "Forbidden".
inline constexpr std::string_view kKeyNames[] = {
    "api key", "api-key", "apikey", "api_key", "your key", "this key", "access token", "your token",
    "this token",
    // An account as such. What it may not use says nothing of the rest.
    "account is not active", "account is inactive", "account is disabled", "account is deactivated",
    "account is blocked", "account has been", "organization is disabled", "organization has been",
    "subscription key",
    "unregistered caller",  // Gemini; recorded
};

struct FinishRow {
  std::string_view finish;
  FailureKind kind;
};

// What an answer that went wrong ended with. Others: empty, since it may have been the prompt, for
// which no engine is left out.
inline constexpr FinishRow kFinishes[] = {
    {"error", server},                             // Mistral, OpenRouter, Cohere
    {"abort", server},                             // vLLM, SGLang
    {"aborted", server},                           // DeepSeek
    {"insufficient_system_resource", overloaded},  // DeepSeek
    {"engine_overloaded", overloaded},             // Moonshot
    {"network_error", network},                    // z.ai
    {"timeout", timeout},                          // Cohere
};

struct StatusRow {
  int status;
  FailureKind kind;
};

// What a status means by itself. Others: 5xx server, 4xx bad_request, 3xx protocol, the rest
// server.
inline constexpr StatusRow kStatuses[] = {
    {401, auth},             // or the model: kModelPhrases
    {402, quota_exhausted},  // DeepSeek, OpenRouter, Hugging Face, Cerebras
    {403, auth},             // or the model, or server: kKeyNames
    {404, model_not_found},  // or the path is not there: nothing this engine can serve, either way
    {405, model_not_found},  // the same, as some proxies say it
    {407, network},          // a proxy on the way
    {408, timeout},
    {409, server},           // a passing conflict: OpenAI's own libraries repeat it
    {410, model_not_found},  // SambaNova: retired
    {412, model_not_found},  // Fireworks: an adapter that does not load
    {413, too_large},
    {423, server},
    {424, server},  // Bedrock: ModelErrorException
    {425, server},
    {429, rate_limited},
    {451, model_not_found},  // not in this place
    {498, overloaded},       // Groq: flex capacity
    {499, network},          // the provider saw its client leave
    {503, overloaded},
    {504, timeout},
    {521, network},  // Cloudflare in front of a provider: 520 to 526
    {522, timeout},
    {523, network},
    {524, timeout},
    {529, overloaded},  // Anthropic
};

}  // namespace spillway::failure_table
