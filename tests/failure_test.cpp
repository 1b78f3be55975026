// classify(): what an error of any provider means, how long it asks to wait, and what is told of
// it.
//
// Three nets: real bodies by hand (kSamples), every row of the table by itself, and every error
// that was recorded (../shared/wire, or SPILLWAY_WIRE), reviewed in tests/failure_table.txt.
#include "failure.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "error_body.h"
#include "failure_table.h"
#include "json.h"
#include "limits.h"
#include "wait_hint.h"

namespace spillway {
namespace {

using enum FailureKind;

// Friday, 31 July 2026, 10:00:00 UTC.
constexpr Instant kNow = Instant::at_ms(1'785'492'000'000);

Failure classify_status(int status, std::string_view body, std::string_view model = {}) {
  ResponseHead head;
  head.status = status;
  return classify(kNow, head, body, model);
}

// --- Real bodies --------------------------------------------------------------------------------

struct Sample {
  const char* source;
  int status;
  const char* body;
  FailureKind kind;
  const char* code = "";
  Millis retry_after_ms = -1;
};

const Sample kSamples[] = {
    {"a policy of OpenAI's", 400,
     R"j({"error":{"message":"This request was flagged.","type":"invalid_request_error",)j"
     R"j("param":null,"code":"cyber_policy"}})j",
     content_filter, "cyber_policy"},
    {"the window in Ollama's words", 400,
     R"j({"error":{"message":"prompt too long; exceeded max context length by 4 tokens"}})j",
     context_too_long},
    {"the window in Mistral's words", 400,
     R"j({"message":"Prompt contains 40000 tokens, too large for model with 32768 maximum"})j",
     context_too_long},
    // Shapes
    {"nested error", 401,
     R"j({"error":{"message":"Incorrect API key provided: sk-.",)j"
     R"j("type":"invalid_request_error","param":null,"code":"invalid_api_key"}})j",
     auth, "invalid_api_key"},
    {"error as text", 404, R"j({"error":"model 'llama9' not found"})j", model_not_found},
    {"code and error as text (xAI)", 400,
     R"j({"code":"invalid-argument","error":"Incorrect API key provided. You can obtain )j"
     R"j(one."})j",
     auth, "invalid-argument"},
    {"flat (Cerebras)", 429,
     R"j({"message":"Requests per minute limit exceeded - too many requests sent.",)j"
     R"j("type":"too_many_requests_error","param":"quota","code":"request_quota_exceeded"})j",
     rate_limited, "request_quota_exceeded"},
    {"flat (Cohere)", 404, R"j({"id":"7321","message":"model 'command-r' was removed"})j",
     model_not_found},
    {"detail as text (Mistral)", 401, R"j({"detail":"Invalid API Key"})j", auth},
    {"detail as a list (FastAPI)", 422,
     R"j({"detail":[{"type":"missing","loc":["body","messages",0,"content"],"msg":"Field )j"
     R"j(required","input":{"message":"rate limit"}}]})j",
     bad_request, "missing"},
    {"title and detail (NVIDIA)", 404,
     R"j({"status":404,"title":"Not Found","detail":"Function '8f2': Not found for account )j"
     R"j('x'"})j",
     model_not_found},
    {"list of errors (Cloudflare)", 400,
     R"j({"success":false,"errors":[{"code":5007,"message":"No such model @cf/x or task"}],)j"
     R"j("result":{},"messages":[]})j",
     model_not_found, "5007"},
    {"list of an error (Gemini without alt=sse)", 400,
     R"j([{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.",)j"
     R"j("status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.Er)j"
     R"j(rorInfo","reason":"API_KEY_INVALID","domain":"googleapis.com"}]}}])j",
     auth, "API_KEY_INVALID"},
    {"plain text", 422, "Failed to deserialize the JSON body into the target type", bad_request},
    {"a string of JSON", 503, R"j("upstream connect error")j", overloaded},
    {"HTML", 502,
     "<html>\r\n<head><title>502 Bad "
     "Gateway</title></head><body><center>nginx</center></body></html>",
     server},
    {"XML (AWS)", 403,
     "<?xml version=\"1.0\"?><Error><Code>X</Code><Message>Denied</Message></Error>", server},
    {"empty", 503, "", overloaded},
    {"empty object", 500, "{}", server},
    {"nested as a string (OpenRouter)", 403,
     R"j({"error":{"code":403,"message":"Provider returned error",)j"
     R"j("metadata":{"provider_name":"xAI","raw":"{\"code\":\"The caller does not have )j"
     R"j(permission to execute the specified operation\",\"error\":\"Content violates )j"
     R"j(usage guidelines. Failed check: SAFETY_CHECK_TYPE_DATA_LEAKAGE\"}"}},)j"
     R"j("user_id":"u"})j",
     content_filter, "The caller does not have permission to execute the specified operation"},
    {"JSON as a message, twice (Google's client)", 429,
     R"j({"error":{"message":"{\"error\":{\"message\":\"{\\\"error\\\":{\\\"code\\\":429,)j"
     R"j(\\\"message\\\":\\\"Resource has been exhausted\\\",)j"
     R"j(\\\"status\\\":\\\"RESOURCE_EXHAUSTED\\\"}}\",\"code\":429}}","code":429,)j"
     R"j("status":"Too Many Requests"}})j",
     rate_limited, "RESOURCE_EXHAUSTED"},
    {"message with a list (Mistral)", 422,
     R"j({"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body",)j"
     R"j("stream_options"],"msg":"Extra inputs are not permitted"}]},)j"
     R"j("type":"invalid_request_error"})j",
     bad_request, "extra_forbidden"},
    {"an SSE body", 429,
     "event: error\ndata: {\"error\":{\"message\":\"Slow "
     "down\",\"code\":\"rate_limit_exceeded\"}}\n\n",
     rate_limited, "rate_limit_exceeded"},
    {"BOM", 429, "\xEF\xBB\xBF{\"error\":{\"code\":\"insufficient_quota\"}}", quota_exhausted,
     "insufficient_quota"},

    // Inside a 200
    {"chunk (OpenRouter)", 200,
     R"j({"error":{"message":"Upstream error from Venice: EngineCore encountered an )j"
     R"j(issue.","code":502,"metadata":{"provider_name":"Venice"}},"user_id":"u"})j",
     server},
    {"choice (OpenRouter)", 200,
     R"j({"id":"gen-1","choices":[{"index":0,"message":{"role":"assistant","content":"rate )j"
     R"j(limit"},"error":{"code":429,"message":"slow down"}}]})j",
     rate_limited},
    {"a chunk with metadata of the client", 200,
     R"j({"id":"r","status":"failed","metadata":{"message":"overloaded",)j"
     R"j("code":"content_filter"},"error":{"code":"server_error","message":"The model )j"
     R"j(failed"}})j",
     server, "server_error"},
    {"event: error (Anthropic)", 200,
     R"j({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"},)j"
     R"j("request_id":"req_1"})j",
     overloaded, "overloaded_error"},
    {"event: error (Anthropic)", 200,
     R"j({"type":"error","error":{"type":"api_error","message":"Internal server error"}})j", server,
     "api_error"},
    {"response.failed", 200,
     R"j({"type":"response.failed","response":{"id":"resp_1","status":"failed",)j"
     R"j("error":{"code":"insufficient_quota","message":"You exceeded your current quota"},)j"
     R"j("metadata":{"code":"x"}}})j",
     quota_exhausted, "insufficient_quota"},
    {"error event, flat (Responses)", 200,
     R"j({"type":"error","code":"rate_limit_exceeded","message":"Rate limit reached. )j"
     R"j(Please try again in 1.5s.","param":null})j",
     rate_limited, "rate_limit_exceeded", 1500},
    {"Ollama's line", 200, R"j({"error":"an error was encountered while running the model"})j",
     server},
    {"TGI's line", 200,
     R"j({"error":"Input validation error: `inputs` must have less than 1024 tokens. )j"
     R"j(Given: 1200","error_type":"validation"})j",
     context_too_long, "validation"},
    {"Azure's filter", 200,
     R"j({"error":{"message":"The response was filtered","type":null,"param":"prompt",)j"
     R"j("code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViol)j"
     R"j(ation","content_filter_result":{"hate":{"filtered":true}}}}})j",
     content_filter, "content_filter"},
    {"promptFeedback (Gemini)", 200,
     R"j({"promptFeedback":{"blockReason":"PROHIBITED_CONTENT"},)j"
     R"j("usageMetadata":{"promptTokenCount":4}})j",
     content_filter, "PROHIBITED_CONTENT"},
    {"MiniMax", 200, R"j({"base_resp":{"status_code":1008,"status_msg":"insufficient balance"}})j",
     quota_exhausted, "1008"},
    {"bad request by type alone", 200,
     R"j({"error":{"type":"invalid_request_error","message":"messages: required"}})j", bad_request,
     "invalid_request_error"},
    {"says nothing", 200, R"j({"error":{}})j", server},

    // What status alone would get wrong
    {"Groq, over the tokens a minute for ever", 413,
     R"j({"error":{"message":"Request too large for model `llama-3.1-8b-instant` in )j"
     R"j(organization `org_1` service tier `on_demand` on tokens per minute (TPM): Limit )j"
     R"j(6000, Requested 12380, please reduce your message size and try again.",)j"
     R"j("type":"tokens","code":"rate_limit_exceeded"}})j",
     too_large, "rate_limit_exceeded"},
    {"OpenAI, over the tokens a minute for ever", 429,
     R"j({"error":{"message":"Request too large for gpt-4o in organization org-1 on tokens )j"
     R"j(per min (TPM): Limit 30000, Requested 132819. The input or output tokens must be )j"
     R"j(reduced in order to run successfully.","type":"tokens","param":null,)j"
     R"j("code":"rate_limit_exceeded"}})j",
     too_large, "rate_limit_exceeded"},
    {"GitHub Models", 413,
     R"j({"error":{"code":"tokens_limit_reached","message":"Request body too large for )j"
     R"j(gpt-4o model. Max size: 8000 tokens.","details":"Request body too large for )j"
     R"j(gpt-4o model. Max size: 8000 tokens."}})j",
     too_large, "tokens_limit_reached"},
    {"Groq", 429,
     R"j({"error":{"message":"Rate limit reached for model `llama-3.3-70b-versatile` on )j"
     R"j(tokens per day (TPD): Limit 100000, Used 99336, Requested 1333. Please try again )j"
     R"j(in 9m38.016s. Need more tokens?","type":"tokens","code":"rate_limit_exceeded"}})j",
     rate_limited, "rate_limit_exceeded", 578'016},
    {"Gemini", 429,
     R"j({"error":{"code":429,"message":"You exceeded your current quota, please check )j"
     R"j(your plan and billing details.\n* Quota exceeded for metric: )j"
     R"j(generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 20, )j"
     R"j(model: gemini-3.6-flash\nPlease retry in 36.429760048s.",)j"
     R"j("status":"RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.)j"
     R"j(RetryInfo","retryDelay":"34.4s"}]}})j",
     rate_limited, "RESOURCE_EXHAUSTED", 34'400},
    {"Gemini, message alone", 429,
     R"j({"error":{"code":429,"message":"You exceeded your current quota. Please retry in )j"
     R"j(36.429760048s.","status":"RESOURCE_EXHAUSTED"}})j",
     rate_limited, "RESOURCE_EXHAUSTED", 36'430},
    {"Gemini, a tier without the model", 429,
     R"j({"error":{"code":429,"message":"You exceeded your current quota\n* Quota exceeded )j"
     R"j(for metric: x/generate_content_free_tier_requests, limit: 0, model: )j"
     R"j(gemini-3.1-pro\nPlease retry in 25.46s.","status":"RESOURCE_EXHAUSTED"}})j",
     model_not_found, "RESOURCE_EXHAUSTED"},
    {"OpenAI", 429,
     R"j({"error":{"message":"You exceeded your current quota, please check your plan and )j"
     R"j(billing details.","type":"insufficient_quota","param":null,)j"
     R"j("code":"insufficient_quota"}})j",
     quota_exhausted, "insufficient_quota"},
    {"DeepSeek", 402,
     R"j({"error":{"message":"Insufficient Balance","type":"unknown_error",)j"
     R"j("code":"invalid_request_error"}})j",
     quota_exhausted, "invalid_request_error"},
    {"OpenRouter", 402,
     R"j({"error":{"message":"This request requires more credits, or fewer max_tokens.",)j"
     R"j("code":402}})j",
     too_large},
    {"Anthropic", 400,
     R"j({"type":"error","error":{"type":"invalid_request_error","message":"Your credit )j"
     R"j(balance is too low to access the Anthropic API."}})j",
     quota_exhausted, "invalid_request_error"},
    {"xAI", 429,
     R"j({"code":"resource-exhausted","error":"Your team has either used all available )j"
     R"j(credits or reached its monthly spending limit."})j",
     quota_exhausted, "resource-exhausted"},
    {"Cloudflare 3036", 429,
     R"j({"success":false,"errors":[{"code":3036,"message":"Account limited"}]})j", quota_exhausted,
     "3036"},
    {"Cloudflare 3040", 429,
     R"j({"success":false,"errors":[{"code":3040,"message":"No more data centers to )j"
     R"j(forward the request to"}]})j",
     overloaded, "3040"},
    {"Cloudflare 3006", 413,
     R"j({"success":false,"errors":[{"code":3006,"message":"Request is too large"}]})j", too_large,
     "3006"},
    {"Cloudflare 3007", 408,
     R"j({"success":false,"errors":[{"code":3007,"message":"Request timeout"}]})j", timeout,
     "3007"},
    {"Anthropic 500", 500,
     R"j({"type":"error","error":{"type":"api_error","message":"Overloaded"}})j", overloaded,
     "api_error"},
    {"Anthropic 529", 529,
     R"j({"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}})j", overloaded,
     "overloaded_error"},
    {"Anthropic 413", 413,
     R"j({"type":"error","error":{"type":"request_too_large","message":"Request exceeds )j"
     R"j(the maximum size"}})j",
     too_large, "request_too_large"},
    {"Mistral", 429,
     R"j({"object":"error","message":"Service tier capacity exceeded for this model.",)j"
     R"j("type":"service_tier_capacity_exceeded","param":null,"code":"3505"})j",
     overloaded, "3505"},
    {"NVIDIA", 400,
     R"j({"status":400,"title":"Bad Request","detail":"Function id '9': DEGRADED function )j"
     R"j(cannot be invoked"})j",
     overloaded},
    {"z.ai", 429,
     R"j({"error":{"code":"1305","message":"The service may be temporarily overloaded, )j"
     R"j(please try again later"}})j",
     overloaded, "1305"},
    {"z.ai", 429,
     R"j({"error":{"code":"1113","message":"Insufficient balance or no resource package. )j"
     R"j(Please recharge."}})j",
     quota_exhausted, "1113"},
    {"Moonshot", 429,
     R"j({"error":{"message":"The engine is currently overloaded",)j"
     R"j("type":"engine_overloaded_error"}})j",
     overloaded, "engine_overloaded_error"},
    {"Moonshot", 429,
     R"j({"error":{"message":"Your account is suspended, please check your plan",)j"
     R"j("type":"exceeded_current_quota_error"}})j",
     quota_exhausted, "exceeded_current_quota_error"},
    {"Moonshot", 429,
     R"j({"error":{"message":"Your account reached max request, please try again after 1 )j"
     R"j(seconds","type":"rate_limit_reached_error"}})j",
     rate_limited, "rate_limit_reached_error", 1000},
    {"Alibaba", 400,
     R"j({"error":{"code":"Arrearage","message":"Access denied, please make sure your )j"
     R"j(account is in good standing.","type":"Arrearage"}})j",
     quota_exhausted, "Arrearage"},
    {"Alibaba", 429,
     R"j({"error":{"code":"Throttling.RateQuota","message":"Requests rate limit exceeded",)j"
     R"j("type":"Throttling"}})j",
     rate_limited, "Throttling.RateQuota"},
    {"Azure", 429,
     R"j({"error":{"code":"RateLimitReached","message":"Your requests have exceeded the )j"
     R"j(call rate limit. Please retry after 26 seconds."}})j",
     rate_limited, "RateLimitReached", 26'000},
    {"Groq flex", 498,
     R"j({"error":{"code":"capacity_exceeded","message":"Flex tier capacity exceeded"}})j",
     overloaded, "capacity_exceeded"},
    {"Fireworks", 412,
     R"j({"error":"Account x is suspended, possibly due to reaching the monthly spending )j"
     R"j(limit"})j",
     quota_exhausted},
    {"Groq spend limit", 400,
     R"j({"error":{"code":"blocked_api_access","message":"Spend limit reached"}})j",
     quota_exhausted, "blocked_api_access"},
    {"Bedrock throttling", 429,
     R"j({"message":"Too many tokens, please wait before trying again."})j", rate_limited},
    {"Bedrock, the day's", 429,
     R"j({"message":"Too many tokens per day, please wait before trying again."})j",
     quota_exhausted},
    {"OpenAI, by place", 403,
     R"j({"error":{"code":"unsupported_country_region_territory","message":"Country, )j"
     R"j(region, or territory not supported","type":"request_forbidden"}})j",
     model_not_found, "unsupported_country_region_territory"},
    {"Gemini, by place", 400,
     R"j({"error":{"code":400,"message":"User location is not supported for the API use.",)j"
     R"j("status":"FAILED_PRECONDITION"}})j",
     model_not_found, "FAILED_PRECONDITION"},
    {"Cloudflare's challenge", 403,
     "<!DOCTYPE html><html><head><title>Just a moment...</title></head></html>", network},
    {"OpenRouter moderation", 403,
     R"j({"error":{"code":403,"message":"meta/x requires moderation on Together. Your )j"
     R"j(input was flagged for \"violence\".","metadata":{"reasons":["violence"],)j"
     R"j("flagged_input":"rate limit exceeded"}}})j",
     content_filter},
    {"DeepSeek risk", 400,
     R"j({"error":{"message":"Content Exists Risk","type":"invalid_request_error",)j"
     R"j("code":"invalid_request_error"}})j",
     content_filter, "invalid_request_error"},
    {"OpenAI o-series", 400,
     R"j({"error":{"message":"Invalid prompt: your prompt was flagged as potentially )j"
     R"j(violating our usage policy.","type":"invalid_request_error",)j"
     R"j("code":"invalid_prompt"}})j",
     content_filter, "invalid_prompt"},
    {"a tool that is called like an error", 400,
     R"j({"error":{"message":"Invalid schema for function 'overloaded': rate limit, too )j"
     R"j(many requests","code":"invalid_function_parameters",)j"
     R"j("param":"tools[0].function.parameters"}})j",
     bad_request, "invalid_function_parameters"},

    // The window, in each provider's words
    {"OpenAI", 400,
     R"j({"error":{"message":"This model's maximum context length is 8192 tokens. However, )j"
     R"j(your messages resulted in 8545 tokens.","type":"invalid_request_error",)j"
     R"j("param":"messages","code":"context_length_exceeded"}})j",
     context_too_long, "context_length_exceeded"},
    {"OpenAI Responses", 400,
     R"j({"error":{"message":"Your input exceeds the context window of this model.",)j"
     R"j("code":null}})j",
     context_too_long},
    {"Anthropic", 400,
     R"j({"type":"error","error":{"type":"invalid_request_error","message":"prompt is too )j"
     R"j(long: 213462 tokens > 200000 maximum"}})j",
     context_too_long, "invalid_request_error"},
    {"Anthropic", 400,
     R"j({"type":"error","error":{"type":"invalid_request_error","message":"input length )j"
     R"j(and `max_tokens` exceed context limit: 188240 + 21333 > 200000"}})j",
     context_too_long, "invalid_request_error"},
    {"Gemini", 400,
     R"j({"error":{"code":400,"message":"The input token count (1196265) exceeds the )j"
     R"j(maximum number of tokens allowed (1048575).","status":"INVALID_ARGUMENT"}})j",
     context_too_long, "INVALID_ARGUMENT"},
    {"xAI", 400,
     R"j({"code":"invalid-argument","error":"This model's maximum prompt length is 131072 )j"
     R"j(but the request contains 537812 tokens."})j",
     context_too_long, "invalid-argument"},
    {"Mistral", 400,
     R"j({"object":"error","message":"Prompt contains 40113 tokens and 0 draft tokens, too )j"
     R"j(large for model with 32768 maximum context length",)j"
     R"j("type":"invalid_request_prompt_too_long","code":"3051"})j",
     context_too_long, "3051"},
    {"Cohere", 400,
     R"j({"message":"too many tokens: total number of tokens in the prompt cannot exceed )j"
     R"j(4081 - received 4292."})j",
     context_too_long},
    {"Cohere, output", 400,
     R"j({"message":"too many tokens: max tokens must be less than or equal to 4096, the )j"
     R"j(maximum output for this model - received 8192."})j",
     bad_request},
    {"Together", 403,
     R"j({"id":"1","error":{"message":"input token length plus max_tokens is over the )j"
     R"j(context length","type":"invalid_request_error","code":null}})j",
     context_too_long, "invalid_request_error"},
    {"Together", 422,
     R"j({"error":{"message":"Input validation error: `inputs` tokens + `max_new_tokens` )j"
     R"j(must be <= 8193. Given: 8000 `inputs` tokens and 1000 `max_new_tokens`"}})j",
     context_too_long},
    {"Fireworks", 400,
     R"j({"error":{"message":"The prompt is too long: 140000, model maximum context )j"
     R"j(length: 131071","code":"invalid_request"}})j",
     context_too_long, "invalid_request"},
    {"Moonshot", 400,
     R"j({"error":{"message":"Invalid request: Your request exceeded model token limit: )j"
     R"j(131072 (requested: 150000)","type":"invalid_request_error"}})j",
     context_too_long, "invalid_request_error"},
    {"Alibaba", 400,
     R"j({"error":{"message":"<400> InternalError.Algo.InvalidParameter: Range of input )j"
     R"j(length should be [1, 30720]","code":"invalid_parameter_error"}})j",
     context_too_long, "invalid_parameter_error"},
    {"OpenAI, a member of the client's", 400,
     R"j({"error":{"message":"Unrecognized request argument supplied: insufficient balance",)j"
     R"j("type":"invalid_request_error","param":null,"code":null}})j",
     bad_request, "invalid_request_error"},
    {"Bedrock", 400, R"j({"message":"Input is too long for requested model."})j", context_too_long},
    {"Perplexity", 400,
     R"j({"error":{"message":"Prompt too big","type":"too_many_prompt_tokens","code":400}})j",
     context_too_long, "too_many_prompt_tokens"},
    {"Cloudflare", 413,
     R"j({"errors":[{"code":5021,"message":"AiError: The estimated number of input and )j"
     R"j(maximum output tokens (24590) exceeded this model context window limit )j"
     R"j((24000)."}]})j",
     context_too_long, "5021"},
    {"vLLM", 400,
     R"j({"object":"error","message":"The decoder prompt (length 8357) is longer than the )j"
     R"j(maximum model length of 8192.","code":400})j",
     context_too_long},
    {"llama.cpp", 400,
     R"j({"error":{"code":400,"message":"request (2009 tokens) exceeds the available )j"
     R"j(context size (512 tokens), try increasing it","n_ctx":512,)j"
     R"j("type":"exceed_context_size_error"}})j",
     context_too_long, "exceed_context_size_error"},
};

TEST(Failure, RealBodies) {
  for (const Sample& sample : kSamples) {
    SCOPED_TRACE(std::string(sample.source) + ": " + sample.body);
    const Failure failure = classify_status(sample.status, sample.body);
    EXPECT_EQ(name_of(failure.kind), name_of(sample.kind));
    EXPECT_EQ(failure.status, sample.status);
    EXPECT_EQ(failure.code, sample.code);
    EXPECT_EQ(failure.retry_after_ms, sample.retry_after_ms);
    EXPECT_FALSE(failure.reason.empty());
  }
}

TEST(Failure, StatusAlone) {
  const std::map<int, FailureKind> expected{{301, protocol},
                                            {400, bad_request},
                                            {401, auth},
                                            {402, quota_exhausted},
                                            {403, server},
                                            {404, model_not_found},
                                            {405, model_not_found},
                                            {408, timeout},
                                            {409, server},
                                            {410, model_not_found},
                                            {413, too_large},
                                            {415, bad_request},
                                            {418, bad_request},
                                            {422, bad_request},
                                            {424, server},
                                            {425, server},
                                            {429, rate_limited},
                                            {499, network},
                                            {500, server},
                                            {502, server},
                                            {503, overloaded},
                                            {504, timeout},
                                            {520, server},
                                            {522, timeout},
                                            {529, overloaded},
                                            {599, server},
                                            {200, server},
                                            {0, server}};
  for (const auto& [status, kind] : expected)
    for (const char* body : {"", "{}", "x", R"j({"error":{"message":"x"}})j"})
      EXPECT_EQ(name_of(classify_status(status, body).kind), name_of(kind))
          << status << " " << body;
}

// --- The table ----------------------------------------------------------------------------------

// No row stands in the shadow of an earlier one, and each does what it says under every status it
// holds for.
TEST(FailureTable, EveryRowDecides) {
  for (const auto& row : failure_table::kRows) {
    std::string body(row.said == failure_table::word ? R"j({"error":{"message":"m","code":")j"
                                                     : R"j({"error":{"message":"before )j");
    json::append_escaped(body, row.text);
    body += row.said == failure_table::word ? "\"}}" : " after\"}}";
    int tried = 0;
    for (const int status : {200, 400, 401, 402, 403, 404, 408, 413, 422, 429, 500, 503}) {
      if (!failure_table::holds(row.when, status)) continue;
      // Together's 403 is about the window.
      if (row.text == "max_tokens" && status == 403 && row.when == failure_table::kMoney) continue;
      // The one word that means more under a status of its own.
      if (row.text == "rate_limit_exceeded" && status == 413 && row.when == failure_table::kAny)
        continue;
      ++tried;
      EXPECT_EQ(name_of(classify_status(status, body).kind), name_of(row.kind))
          << status << " " << row.text;
    }
    EXPECT_GT(tried, 0) << "no status tried for " << row.text;
    EXPECT_EQ(row.text, lower_case(row.text));
  }
}

TEST(FailureTable, NoRowTwice) {
  std::set<std::tuple<int, int, std::string_view>> seen;
  for (const auto& row : failure_table::kRows)
    EXPECT_TRUE(seen.emplace(row.when, static_cast<int>(row.said), row.text).second) << row.text;
  std::set<int> statuses;
  for (const auto& row : failure_table::kStatuses) EXPECT_TRUE(statuses.insert(row.status).second);
}

// --- Who is meant -------------------------------------------------------------------------------

// What the account cannot pay at once is this request's fault.
TEST(Failure, ASizeIsTheRequestsOwn) {
  const auto kind = [](int status, const char* message) {
    return classify_status(status, std::string(R"j({"error":{"message":")j") + message + "\"}}")
        .kind;
  };
  constexpr const char* openrouter =
      "This request requires more credits, or fewer max_tokens. You requested up to 100000 tokens, "
      "but can only afford 4000. To increase, visit https://openrouter.ai/settings/credits and add "
      "more credits";
  for (const int status : {402, 403, 429})
    EXPECT_EQ(kind(status, "You cannot afford this request."), too_large) << status;
  EXPECT_EQ(kind(402, "Ask for fewer tokens."), too_large);
  EXPECT_EQ(kind(429, "Too many tokens a minute: wait, or lower max_tokens."), rate_limited);
  EXPECT_EQ(kind(402, openrouter), too_large);
  EXPECT_EQ(kind(429, openrouter), too_large);
  EXPECT_EQ(kind(402, "Prompt tokens limit exceeded: 50000 > 20000."), too_large);
  EXPECT_EQ(kind(402, "Lower `max_tokens`, or pay."), too_large)
      << "nobody is blamed: quotes count";
  EXPECT_EQ(kind(402, "Insufficient credits."), quota_exhausted);
  EXPECT_EQ(kind(429, "Too many requests."), rate_limited);
  EXPECT_EQ(classify_status(200, R"j({"error":{"code":402,"message":"can only afford 1"}})j").kind,
            too_large);
}

TEST(Failure, WhatNamesTheModelIsNotAboutTheKey) {
  struct Row {
    int status;
    const char* body;
    FailureKind kind;
    const char* model = "gpt-5.2";
  };
  const Row rows[] = {
      // OpenAI
      {403,
       R"j({"error":{"message":"Project `proj_x` does not have access to model `gpt-5.2`",)j"
       R"j("type":"invalid_request_error","param":null,"code":null}})j",
       model_not_found},
      {403, R"j({"error":{"message":"Your project does not have access to model gpt-5.2"}})j",
       model_not_found, ""},
      // Anthropic
      {403,
       R"j({"type":"error","error":{"type":"permission_error","message":"Your organization )j"
       R"j(has no access to claude-x."}})j",
       model_not_found, "claude-x"},
      {200,
       R"j({"type":"error","error":{"type":"permission_error","message":"Your organization )j"
       R"j(has no access to claude-x."}})j",
       model_not_found, "claude-x"},
      {403,
       R"j({"type":"error","error":{"type":"permission_error","message":"Your API key does )j"
       R"j(not have permission to use the specified resource."}})j",
       model_not_found, "claude-x"},
      // Groq, GitHub Models, LiteLLM
      {403,
       R"j({"error":{"message":"The model is blocked at the organization level.",)j"
       R"j("code":"model_permission_blocked_org"}})j",
       model_not_found},
      {403, R"j({"error":{"code":"no_access","message":"No access to it: openai/o1"}})j",
       model_not_found},
      {401,
       R"j({"error":{"message":"key not allowed to access model. This key can only access )j"
       R"j(models=['small']. Tried to access gpt-5.2","type":"auth_error","code":"401"}})j",
       model_not_found},
      {401, R"j({"error":{"message":"no","type":"key_model_access_denied","code":"401"}})j",
       model_not_found},
      // Words about it, and its name
      {403, R"j({"message":"You are not authorized to access this model."})j", model_not_found},
      {403, R"j({"message":"The requested model is for other plans."})j", model_not_found},
      {401, R"j({"message":"Not for you: GPT-5.2."})j", model_not_found},
      {401, R"j({"message":"openai/gpt-5.2 needs a plan"})j", model_not_found},
      {403, R"j({"message":"'gpt-5.2': denied"})j", model_not_found},
      {403, R"j({"message":"denied: gpt-5.2"})j", model_not_found},
      // Another model, and none
      {403, R"j({"message":"Denied: gpt-5.2-pro"})j", server},
      {403, R"j({"message":"Denied: my-gpt-5.2"})j", server},
      {403, R"j({"message":"Denied: gpt-5.2.1"})j", server},
      {403, R"j({"message":"Denied: gpt-5.2:free"})j", server},
      {403, R"j({"message":"Forbidden"})j", server},
      {403, R"j({"message":"Forbidden"})j", server, ""},
      // The key, whatever model is named
      {401, R"j({"message":"Invalid token for gpt-5.2"})j", auth},
      {401, R"j({"message":"Your key has expired: gpt-5.2"})j", auth},
      {401, R"j({"error":{"message":"gpt-5.2: no","code":"invalid_api_key"}})j", auth},
      {403, R"j({"message":"No credentials for the model"})j", auth},
      // Quoted words are the client's
      {403, R"j({"message":"Denied: 'this model'"})j", server},
  };
  for (const Row& row : rows)
    EXPECT_EQ(name_of(classify_status(row.status, row.body, row.model).kind), name_of(row.kind))
        << row.status << " " << row.body;
}

// Denied, and neither the key nor the model is named: that is somebody on the way, who denies it to
// all. A 401 means the key by definition.
TEST(Failure, WhatIsDeniedWithoutAWordIsTheEnginesTrouble) {
  struct Row {
    int status;
    const char* body;
    FailureKind kind;
  };
  const Row rows[] = {
      {401, "", auth},
      {401, R"j({"message":"Unauthorized"})j", auth},
      {403, "", server},
      {403, "{}", server},
      {403, "<html><head><title>403 Forbidden</title></head><center>nginx</center></html>", server},
      {403, "Access Denied. You don't have permission to access this on this server.", server},
      {403, R"j({"message":"Missing Authentication Token"})j", server},  // Amazon API Gateway
      {403, R"j({"error":{"code":"403","message":"Public access is disabled."}})j", server},
      {403, R"j({"error":{"type":"permission_error","message":"Request not allowed"}})j", server},
      {200, R"j({"error":{"type":"permission_error"}})j", server},
      {200, R"j({"error":{"status":"PERMISSION_DENIED"}})j", server},
      // Whose key it is, or the key itself.
      // What one request asked for, and a gRPC status in words, are nothing against the key.
      {403, R"j({"message":"Your account may not use the priority tier."})j", server},
      {403, R"j({"error":{"message":"Your organization must be verified for search."}})j", server},
      {403,
       R"j({"code":"The caller does not have permission to execute the specified operation",)j"
       R"j("error":"This prompt is not allowed."})j",
       server},
      {403,
       R"j({"error":{"status":"PERMISSION_DENIED","message":"The caller does not have )j"
       R"j(permission"}})j",
       server},
      {403, R"j({"message":"Your account is not active."})j", auth},
      {403, R"j({"error":{"message":"This organization has been disabled."}})j", auth},
      {403, R"j({"error":{"message":"This API key has no permissions."}})j", auth},
      {403,
       R"j({"error":{"status":"PERMISSION_DENIED","details":[{"reason":"SERVICE_DISABLED"}]}})j",
       auth},
      {200, R"j({"error":{"type":"permission_error","message":"invalid token"}})j", auth},
  };
  for (const Row& row : rows)
    EXPECT_EQ(name_of(classify_status(row.status, row.body, "m").kind), name_of(row.kind))
        << row.status << " " << row.body;
}

// Another key may be allowed what this one is denied, and knows no model that nobody knows.
TEST(Failure, AModelMayBeDeniedToOneKey) {
  EXPECT_TRUE(classify_status(403, R"j({"message":"m: denied"})j", "m").is_to_key);
  EXPECT_TRUE(classify_status(401, R"j({"message":"Not for this model"})j", "m").is_to_key);
  EXPECT_TRUE(classify_status(403, R"j({"error":{"code":"no_access"}})j", "m").is_to_key);
  EXPECT_TRUE(classify_status(403, R"j({"message":"You have no access to model m"})j").is_to_key);
  EXPECT_FALSE(classify_status(404, R"j({"message":"no m"})j", "m").is_to_key);
  EXPECT_FALSE(classify_status(404, R"j({"error":{"code":"model_not_found"}})j", "m").is_to_key);
  EXPECT_FALSE(classify_status(403, R"j({"message":"m: expired"})j", "m").is_to_key) << "auth";
  EXPECT_FALSE(classify_status(403, "{}", "m").is_to_key);
}

// A model's name is the client's: no row that blames is found in it, quoted or not, whole or in
// part.
TEST(FailureTable, ClientsCannotTalkAKeyOutOfUseByAModelsName) {
  const auto blames_key = [](FailureKind kind) { return kind == auth || kind == quota_exhausted; };
  for (const auto& row : failure_table::kRows) {
    if (row.said != failure_table::phrase || !blames_key(row.kind)) continue;
    for (const int status : {200, 400, 403, 404, 429}) {
      if (!failure_table::holds(row.when, status)) continue;
      const std::string model = "x/" + std::string(row.text) + " y";
      for (const std::string& told : {model, std::string(row.text), "x/" + std::string(row.text)}) {
        std::string body = R"j({"error":{"message":"There is nothing called )j";
        json::append_escaped(body, told);
        const FailureKind kind = classify_status(status, body + " here\"}}", model).kind;
        EXPECT_FALSE(blames_key(kind) && status != 403) << status << " " << row.text;
        EXPECT_NE(kind, quota_exhausted) << status << " " << row.text;
      }
    }
  }
  EXPECT_EQ(
      classify_status(403, R"j({"message":"Denied: invalid api key"})j", "invalid api key").kind,
      model_not_found);
  EXPECT_EQ(
      classify_status(403, R"j({"message":"Denied: it has expired"})j", "it  has\nexpired").kind,
      model_not_found);
}

// A word is a whole code: what contains it is something else.
TEST(FailureTable, WordsAreWhole) {
  EXPECT_EQ(classify_status(400, R"j({"error":{"code":"x_insufficient_quota"}})j").kind,
            bad_request);
  EXPECT_EQ(classify_status(400, R"j({"error":{"code":"insufficient_quota_x"}})j").kind,
            bad_request);
  EXPECT_EQ(classify_status(400, R"j({"error":{"code":"INSUFFICIENT_QUOTA"}})j").kind,
            quota_exhausted);
  EXPECT_EQ(classify_status(400, R"j({"error":{"message":"insufficient_quota"}})j").kind,
            bad_request);
}

// Error messages quote the request. No value in it may set an engine or a key aside for everyone.
TEST(FailureTable, ClientsCannotTalkAKeyOutOfUse) {
  for (const auto& row : failure_table::kRows) {
    if (row.said != failure_table::phrase || !failure_table::holds(row.when, 400)) continue;
    for (const char* quote : {"'", "\"", "`"}) {
      // With quotes inside, too: not all providers escape them.
      std::string message = "Invalid value: ";
      message.append(quote).append("a").append(quote).append(" ").append(row.text).append(" ");
      message.append(quote).append("b").append(quote).append(". Supported values are: 'low'.");
      std::string body = R"j({"error":{"message":")j";
      json::append_escaped(body, message);
      const FailureKind kind = classify_status(400, body + "\"}}").kind;
      EXPECT_TRUE(kind == bad_request || kind == empty || kind == context_too_long ||
                  kind == content_filter || kind == too_large)
          << name_of(kind) << ": " << message;
    }
  }
  // An apostrophe is no quote.
  EXPECT_EQ(
      classify_status(403, R"j({"message":"You don't have access to the model, it's gone."})j")
          .kind,
      model_not_found);
}

// --- Headers ------------------------------------------------------------------------------------

TEST(Failure, ExceptionHeaderOfAws) {
  ResponseHead head;
  head.status = 400;
  head.error_type = "ThrottlingException:http://internal.amazon.com/coral/com.amazon.bedrock/";
  Failure failure = classify(kNow, head, R"j({"message":"Slow"})j");
  EXPECT_EQ(failure.kind, rate_limited);
  EXPECT_EQ(failure.code, "ThrottlingException");
  // As the type of an exception frame inside a 200.
  head.status = 200;
  head.error_type = "modelTimeoutException";
  EXPECT_EQ(classify(kNow, head, "{}").kind, timeout);
  head.error_type = "validationException";
  EXPECT_EQ(classify(kNow, head, R"j({"message":"no"})j").kind, bad_request);
}

TEST(Failure, WaitOfTheMostExactSource) {
  ResponseHead head;
  head.status = 429;
  const char* const body =
      R"j({"error":{"message":"Please try again in 20s.","details":[{"retryDelay":"7s"}]}})j";
  head.reset_requests = "23m2.4s";
  head.reset_tokens = "6.56s";
  EXPECT_EQ(classify(kNow, head, "{}").retry_after_ms, 6560);
  head.reset_tokens = "0s";  // a limit that is whole is not the one that was hit
  EXPECT_EQ(classify(kNow, head, "{}").retry_after_ms, 1'382'400);
  head.reset = "1785491000000";  // passed: the clocks differ
  EXPECT_EQ(classify(kNow, head, "{}").retry_after_ms, 1'382'400);
  head.reset = "1785492009000";
  EXPECT_EQ(classify(kNow, head, "{}").retry_after_ms, 9000);
  EXPECT_EQ(
      classify(kNow, head, R"j({"error":{"message":"Please try again in 350ms"}})j").retry_after_ms,
      350);
  EXPECT_EQ(classify(kNow, head, body).retry_after_ms, 7000);
  head.retry_after = "3";
  EXPECT_EQ(classify(kNow, head, body).retry_after_ms, 3000);
  head.retry_after_ms = "2500.5";
  EXPECT_EQ(classify(kNow, head, body).retry_after_ms, 2501);
  head.retry_after_ms = "soon";
  head.retry_after = "later";
  EXPECT_EQ(classify(kNow, head, body).retry_after_ms, 7000);
}

// Anthropic, Together and Hugging Face send retry-after with answers, too.
TEST(Failure, HeadersOfA200DoNotSayHowLongToWait) {
  ResponseHead head;
  head.status = 200;
  head.retry_after = head.retry_after_ms = head.reset = head.reset_requests = head.reset_tokens =
      "9";
  EXPECT_EQ(classify(kNow, head, R"j({"error":{"type":"rate_limit_error"}})j").retry_after_ms, -1);
  EXPECT_EQ(
      classify(kNow, head, R"j({"error":{"type":"rate_limit_error","message":"try again in 2s"}})j")
          .retry_after_ms,
      2000);
}

TEST(Failure, ResetPassedOnInTheBody) {
  const char* const body =
      R"j({"error":{"message":"Rate limit exceeded: free-models-per-min. ","code":429,)j"
      R"j("metadata":{"headers":{"X-RateLimit-Limit":"20","X-RateLimit-Remaining":"0",)j"
      R"j("X-RateLimit-Reset":"1785492042000"},"provider_name":null}},"user_id":"u"})j";
  EXPECT_EQ(classify_status(429, body).retry_after_ms, 42'000);
  EXPECT_EQ(classify_status(200, body).retry_after_ms, 42'000);
}

TEST(Failure, WaitsOnlyWhereWaitingHelps) {
  for (const int status :
       {400, 401, 402, 403, 404, 413, 408, 409, 429, 499, 500, 502, 503, 504, 529}) {
    ResponseHead head;
    head.status = status;
    head.retry_after = "5";
    const Failure failure = classify(kNow, head, "");
    const bool passes = failure.kind == rate_limited || failure.kind == overloaded ||
                        failure.kind == server || failure.kind == timeout ||
                        failure.kind == network;
    EXPECT_EQ(failure.retry_after_ms, passes ? 5000 : -1) << status;
    // A reset says something about rate limits alone: it comes with every answer.
    head.retry_after = "";
    head.reset_tokens = "5s";
    EXPECT_EQ(classify(kNow, head, "").retry_after_ms, failure.kind == rate_limited ? 5000 : -1)
        << status;
  }
}

TEST(WaitHint, EveryWayToWriteIt) {
  const std::vector<std::pair<std::string_view, Millis>> hints{
      {"20", 20'000},
      {"0", 0},
      {" 7 ", 7000},
      {"8.64", 8640},
      {"0.0001", 1},
      {"6ms", 6},
      {"8.64s", 8640},
      {"34.4s", 34'400},
      {"36.429760048s", 36'430},
      {"1m2s", 62'000},
      {"9m38.016s", 578'016},
      {"1h0m1s", 3'601'000},
      {"2 days", 86'400'000},
      {"Fri, 31 Jul 2026 10:00:30 GMT", 30'000},
      {"Friday, 31-Jul-26 10:00:30 GMT", 30'000},
      {"Fri Jul 31 10:00:30 2026", 30'000},
      {"Fri, 31 Jul 2026 09:00:00 GMT", 0},
      {"2026-07-31T10:00:01.5Z", 1500},
      {"2026-07-31T12:00:02+02:00", 2000},
      {"2026-07-31T08:00:02-02:00", 2000},
      {"1785492060", 60'000},
      {"1785492060.5", 60'500},
      {"1785492042000", 42'000},
      {"1785491999", 0},
      {"99999999999999999999999999999999999999", 86'400'000},
      {"999999999", 86'400'000},
      {"9999999999999999999999h", 86'400'000},
      {"1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h1h", 86'400'000},
      {"", -1},
      {"-1", -1},
      {"-5s", -1},
      {"NaN", -1},
      {"soon", -1},
      {"5 messages", -1},
      {"5s!", -1},
      {"1e3", -1},
      {".5", -1},
      {"2026-13-45T10:00:00Z", -1},
      {"2026-07", -1},
      {"2026-", -1},
      {"Fri, 99 Foo 2026 10:00:00 GMT", -1},
      {"Fri, 31 Jul 99999999999 10:00:00 GMT", -1},
  };
  for (const auto& [text, wait] : hints) EXPECT_EQ(wait_from(kNow, text), wait) << text;
  EXPECT_EQ(wait_from(Instant::never(), "1785492060"), 0);
  EXPECT_EQ(wait_from(Instant::at_ms(0), "1785492060"), limits::timeout_ms_max);
}

TEST(WaitHint, InWords) {
  const std::vector<std::pair<std::string_view, Millis>> hints{
      {"Please try again in 9m38.016s. Visit", 578'016},
      {"please try again in 20s", 20'000},
      {"Please try again in 350ms.", 350},
      {"Please Try Again In 1h2m3s", 3'723'000},
      {"Please retry in 36.429760048s.", 36'430},
      {"Please retry after 26 seconds.", 26'000},
      {"Try again in 5 minutes and 3 seconds", 300'000},
      {"Try again in 5 minutes 3 seconds", 303'000},
      {"try again after 1 second", 1000},
      {"try again in a moment, retry in 2s", 2000},
      {"try again in 20 questions", -1},
      {"try again in ", -1},
      {"please try again later", -1},
      {"", -1},
  };
  for (const auto& [text, wait] : hints) EXPECT_EQ(wait_in_words(text), wait) << text;
}

// Any prefix of any hint is read without harm, and never as a negative wait other than "none".
TEST(WaitHint, CutAnywhere) {
  for (const std::string_view whole :
       {"9m38.016s", "Fri, 31 Jul 2026 10:00:30 GMT", "2026-07-31T10:00:01.5+02:00",
        "1785492042000", "Please try again in 9m38.016s. Visit"})
    for (std::size_t size = 0; size <= whole.size(); ++size) {
      const std::string cut(whole.substr(0, size));
      EXPECT_GE(wait_from(kNow, cut), -1) << cut;
      EXPECT_GE(wait_in_words(cut), -1) << cut;
      EXPECT_GE(wait_from_ms(cut), -1) << cut;
    }
}

// --- What is told -------------------------------------------------------------------------------

TEST(Failure, ReasonIsTheProvidersOwn) {
  const auto reason = [](int status, std::string_view body) {
    return classify_status(status, body).reason;
  };
  EXPECT_EQ(
      reason(400, R"j({"error":{"message":"  line one\n\n\tline \"two\" \u00e9 \ud83d\ude00 "}})j"),
      "line one line \"two\" \xC3\xA9 \xF0\x9F\x98\x80");
  EXPECT_EQ(reason(502, "<HTML><HEAD><TITLE >502 Bad\nGateway</TITLE></HEAD><script>x</script>"),
            "502 Bad Gateway");
  EXPECT_EQ(reason(502, "<html><body><h1>Bad Gateway</h1></body></html>"), "Bad Gateway");
  EXPECT_EQ(reason(502, "<html><body><script>secret()</script></body></html>"),
            "no reason was given (HTTP 502)");
  EXPECT_EQ(reason(400, "<400> InternalError"), "<400> InternalError");
  EXPECT_EQ(reason(503, ""), "no reason was given (HTTP 503)");
  EXPECT_EQ(reason(200, "{}"), "no reason was given (HTTP 200)");
  EXPECT_EQ(reason(400, R"j({"error":{"code":"weird"}})j"), R"j({"error":{"code":"weird"}})j");
  EXPECT_EQ(reason(404, R"j({"status":404,"title":"Not Found","detail":"Function is gone"})j"),
            "Function is gone");
  EXPECT_EQ(reason(404, R"j({"title":"Not Found","status":404})j"), "Not Found");
  EXPECT_EQ(reason(400, R"j({"error":{"code":400,"message":"Provider returned error",)j"
                        R"j("metadata":{"raw":"{\"error\":{\"message\":\"inner\"}}"}}})j"),
            "inner");
  EXPECT_EQ(
      reason(
          400,
          R"j({"error":{"code":400,"message":"Provider returned error","metadata":{"raw":"{}"}}})j"),
      "Provider returned error");
  EXPECT_EQ(reason(400, R"j({"error":{"message":"{not json","code":400}})j"), "{not json");
  EXPECT_EQ(reason(400, R"j({"unheard_of":{"shape":1}})j"), R"j({"unheard_of":{"shape":1}})j");
  // What comes later but deeper wins, what comes later and is not deeper does not.
  EXPECT_EQ(reason(400, R"j({"message":"outer","error":{"message":"inner"},"detail":"other"})j"),
            "inner");
  EXPECT_EQ(reason(400, R"j({"errors":[{"message":"first"},{"message":"second"}]})j"), "first");
  // Asides speak when nothing else does.
  EXPECT_EQ(reason(400, R"j({"error":{"details":[{"msg":"aside"}],"message":"main"}})j"), "main");
  EXPECT_EQ(reason(400, R"j({"error":{"details":[{"msg":"aside"}]}})j"), "aside");
}

// What is cut may be the beginning of a key: the word that is cut goes, wherever something is cut.
TEST(Failure, AReasonIsCutBeforeTheWordThatDoesNotFit) {
  const std::string key = "sk-acme-0123456789";
  const auto reason = [](std::string_view body, bool is_cut = false) {
    ResponseHead head;
    head.status = 400;
    head.body_is_cut = is_cut;
    return classify(kNow, head, body).reason;
  };
  const auto said = [](const std::string& message) {
    return R"j({"error":{"message":")j" + message + "\"}}";
  };
  for (std::size_t shown = 0; shown <= key.size(); ++shown) {
    // At the bound of a reason, and at that of what is folded.
    const std::string words(limits::reason_bytes_max - 1 - shown, 'w');
    const bool whole = shown == key.size();
    EXPECT_EQ(reason(said(words + " " + key + " is wrong")), whole ? words + " " + key : words);
    const std::string white = "told:" + std::string(2 * limits::reason_bytes_max - 5 - shown, ' ');
    EXPECT_EQ(reason(white + key + " is wrong"), whole ? "told: " + key : "told:");
    // At the bound of a body, in text and in markup.
    const std::string blank(limits::error_body_bytes_max - 12 - shown, ' ');
    EXPECT_EQ(reason("<p>" + blank + "<h1>told " + key + " is wrong</h1>"),
              whole ? "told " + key : "told");
    const std::string far(limits::error_body_bytes_max - 5 - shown, ' ');
    EXPECT_EQ(reason(far + "told " + key + " is wrong"), whole ? "told " + key : "told");
    // Where it broke off.
    EXPECT_EQ(reason("told " + key.substr(0, shown), true), "told");
    EXPECT_EQ(reason("<h1>told " + key.substr(0, shown), true), "told");
    EXPECT_EQ(reason(R"j({"message":"told )j" + key.substr(0, shown), true),
              R"j({"message":"told)j");
  }
  EXPECT_EQ(reason("told " + key), "told " + key) << "nothing is cut";
  EXPECT_EQ(reason(said("told " + key).append(",\"more\":\"cut"), true), "told " + key);
  const std::string cjk = "\xE4\xB8\xAD";  // three bytes: no blanks, and no word is lost
  std::string many;
  while (many.size() < 3 * limits::reason_bytes_max) many += cjk;
  EXPECT_EQ(reason(said(many)), many.substr(0, limits::reason_bytes_max / 3 * 3));
  EXPECT_EQ(reason(many, true).size(), limits::reason_bytes_max / 3 * 3);
}

TEST(Failure, ParamIsTheFieldThatWasNamed) {
  EXPECT_EQ(classify_status(400, R"j({"error":{"message":"m","param":"tools[0].name"}})j").param,
            "tools[0].name");
  EXPECT_EQ(classify_status(400, R"j({"error":{"message":"m","param":null}})j").param, "");
  EXPECT_EQ(
      classify_status(422, R"j({"detail":[{"loc":["body","messages",0,"content"],"msg":"m"}]})j")
          .param,
      "messages.0.content");
  EXPECT_EQ(classify_status(
                422, R"j({"error":{"message":"m","details":[{"loc":["body","tool_choice"]}]}})j")
                .param,
            "tool_choice");
}

// What an answer ended with decides alone, whatever its case; a word that is not known blames no
// one.
TEST(Failure, AnswersThatWentWrong) {
  for (const auto& row : failure_table::kFinishes) {
    EXPECT_EQ(row.finish, lower_case(row.finish));
    for (const std::string& word : {std::string(row.finish), [&row] {
                                      std::string upper(row.finish);
                                      for (char& c : upper)
                                        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 32);
                                      return upper;
                                    }()}) {
      const Failure failure = ended_with(word);
      EXPECT_EQ(name_of(failure.kind), name_of(row.kind)) << word;
      EXPECT_EQ(failure.reason, "the answer ended with " + word);
      EXPECT_EQ(failure.code, word);
      EXPECT_EQ(failure.status, 200);
    }
  }
  EXPECT_EQ(ended_with("MALFORMED_FUNCTION_CALL").kind, empty);
  // Phrases of errors mean nothing here: a word may come from what the model wrote.
  EXPECT_EQ(ended_with("your credit balance is too low").kind, empty);
  const Failure hostile = ended_with("a\nb\x01" + std::string(100'000, 'x'));
  EXPECT_EQ(hostile.kind, empty);
  EXPECT_EQ(hostile.code, "a b");
  EXPECT_EQ(hostile.reason.find_first_of("\n\x01"), std::string::npos);
}

TEST(Failure, OfOurOwn) {
  const Failure failure = failed(network, "  connection\nreset \xFF ");
  EXPECT_EQ(failure.kind, network);
  EXPECT_EQ(failure.status, 0);
  EXPECT_EQ(failure.reason, "connection reset \xEF\xBF\xBD");
  EXPECT_EQ(failure.retry_after_ms, -1);
  EXPECT_EQ(failed(server, std::string(100'000, 'x')).reason, "no reason was given");
  EXPECT_EQ(failed(server, "").reason, "no reason was given");
  std::string words;
  while (words.size() < 100'000) words += "many words ";
  EXPECT_LE(failed(server, words).reason.size(), limits::reason_bytes_max);
  EXPECT_GT(failed(server, words).reason.size(), limits::reason_bytes_max - 10);
}

TEST(Failure, NamesAreDistinct) {
  std::set<std::string_view> names;
  for (std::size_t kind = 0; kind < kFailureKinds; ++kind)
    names.insert(name_of(static_cast<FailureKind>(kind)));
  EXPECT_EQ(names.size(), kFailureKinds);
  EXPECT_EQ(names.count(""), 0U);
  EXPECT_EQ(name_of(rate_limited), "rate_limited");
  EXPECT_EQ(name_of(too_large), "too_large");
}

// --- Hostile bodies -----------------------------------------------------------------------------

bool is_one_line_of_text(const std::string& text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) return false;
  std::string escaped;
  json::append_escaped(escaped, text);
  return json::unescaped(JsonText::trusted(escaped)) == text;
}

void expect_fit_to_tell(const Failure& failure, std::string_view body) {
  EXPECT_FALSE(failure.reason.empty()) << body.substr(0, 80);
  EXPECT_LE(failure.reason.size(), limits::reason_bytes_max);
  EXPECT_LE(failure.code.size(), limits::error_code_bytes_max);
  EXPECT_LE(failure.param.size(), limits::error_code_bytes_max);
  EXPECT_TRUE(is_one_line_of_text(failure.reason)) << failure.reason;
  EXPECT_TRUE(is_one_line_of_text(failure.code));
  EXPECT_TRUE(is_one_line_of_text(failure.param));
}

std::string repeated(std::string_view piece, std::size_t times) {
  std::string all;
  all.reserve(piece.size() * times);
  for (std::size_t i = 0; i < times; ++i) all += piece;
  return all;
}

TEST(FailureHostile, DeepHugeAndBinary) {
  const std::vector<std::string> bodies{
      repeated("[", 1'000'000),
      repeated("{\"error\":", 1'000'000),
      repeated("{\"error\":", 100) + "{\"message\":\"deep\"}" + repeated("}", 100),
      "{\"error\":{\"message\":\"" + repeated("\xF0\x9F\x98\x80", 1'000'000) + "\"}}",
      "{\"error\":{\"message\":\"" + repeated("\xF0\x9F\x98\x80", 10'000) + "\"}}",
      "{\"error\":{\"code\":\"" + repeated("c", 60'000) + "\",\"param\":\"" +
          repeated("\xC3\xA9", 900) + "\"}}",
      "{\"detail\":[{\"loc\":[" + repeated("\"abcdefghij\",", 5000) + "1],\"msg\":\"m\"}]}",
      "{" + repeated("\"code\":\"word\",", 4000) + "\"message\":\"m\"}",
      repeated("<title>", 9000),
      repeated("<", 60'000),
      repeated(" \n", 50'000),
      "\x1F\x8B\x08" + std::string(500, '\0'),
      std::string(1000, '\xFF'),
      "data:",
      "event: error\n",
      "data: {\"error\":",
      "{\"error\":\"\\ud800\"}",
      "\"",
      "[]",
      "null",
      "true",
      "[[[[{\"error\":[[[\"here\"]]]}]]]]",
      "{\"error\":{\"message\":[1,null,true,{}]}}",
      "{\"error\":{\"message\":\"" + repeated("\\n", 30'000) + "\"}}",
  };
  for (const std::string& body : bodies)
    for (const int status : {0, 200, 400, 429, 503})
      expect_fit_to_tell(classify_status(status, body), body);
  EXPECT_EQ(classify_status(400, bodies[4]).reason,
            repeated("\xF0\x9F\x98\x80", limits::reason_bytes_max / 4));
  EXPECT_EQ(classify_status(500, bodies[11]).reason, "no reason was given (HTTP 500)");
}

// JSON inside strings of JSON, as deep as it goes: each level costs escapes, so it is bounded and
// ends.
TEST(FailureHostile, StringsInStrings) {
  std::string body = R"j({"message":"core"})j";
  for (int level = 0; level < 30 && body.size() < limits::error_body_bytes_max; ++level) {
    expect_fit_to_tell(classify_status(400, body), body);
    std::string outer = "{\"error\":{\"message\":\"";
    json::append_escaped(outer, body);
    body = outer + "\"}}";
  }
}

// Every real body, cut at every byte, still gives something fit to tell.
TEST(FailureHostile, CutAnywhere) {
  for (const Sample& sample : kSamples) {
    const std::string_view body = sample.body;
    for (std::size_t size = 0; size < body.size(); ++size) {
      const std::string cut(body.substr(0, size));  // a copy, so that reading past the end is seen
      expect_fit_to_tell(classify_status(sample.status, cut), cut);
    }
  }
}

// Words that come before the cut still count.
TEST(FailureHostile, TruncatedJsonKeepsWhatWasRead) {
  const Failure failure = classify_status(
      429, R"j({"error":{"code":"insufficient_quota","message":"You exceeded your cur)j");
  EXPECT_EQ(failure.kind, quota_exhausted);
  EXPECT_EQ(failure.code, "insufficient_quota");
}

TEST(FailureHostile, AnyByteChanged) {
  for (const Sample& sample : kSamples) {
    std::string body = sample.body;
    for (std::size_t at = 0; at < body.size(); at += 3)
      for (const char c : {'"', '\\', '{', '\xFF', '\0'}) {
        const char was = body[at];
        body[at] = c;
        expect_fit_to_tell(classify_status(sample.status, body), body);
        body[at] = was;
      }
  }
}

// --- Recorded errors ----------------------------------------------------------------------------

std::filesystem::path wire_directory() {
  if (const char* const given = std::getenv("SPILLWAY_WIRE")) return given;
  return std::filesystem::path(SPILLWAY_SOURCE_DIR) / "../shared/wire";
}

std::string contents(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// The errors inside a 200, as a dialect hands them over.
std::vector<std::string> in_band_errors(const std::string& kind, const std::string& text) {
  std::vector<std::string> bodies;
  const auto look_at = [&bodies](const std::string& data) {
    const auto value = nlohmann::json::parse(data, nullptr, false);
    if (!value.is_object()) return;
    bool error = value.contains("error") && !value["error"].is_null();
    if (value.contains("choices") && value["choices"].is_array())
      for (const auto& choice : value["choices"])
        error |= choice.is_object() && choice.contains("error");
    if (value.contains("promptFeedback")) error |= value["promptFeedback"].contains("blockReason");
    if (value.value("type", "") == "response.failed") error = true;
    if (error) bodies.push_back(data);
  };
  if (kind == "json") look_at(text);
  if (kind != "sse" && kind != "ndjson") return bodies;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    look_at(kind == "sse" && line.starts_with("data:") ? line.substr(5) : line);
  return bodies;
}

// Enough to tell one reason from another.
std::string beginning_of(std::string_view reason) {
  std::size_t size = std::min<std::size_t>(reason.size(), 40);
  while (size > 0 && size < reason.size() && (reason[size] & 0xC0) == 0x80) --size;
  return folded(reason.substr(0, size), limits::reason_bytes_max);
}

TEST(FailureRecorded, IsWhatWasReviewed) {
  const std::filesystem::path wire = wire_directory();
  std::ifstream manifest(wire / "MANIFEST.jsonl");
  if (!manifest) GTEST_SKIP() << "no recordings at " << wire;

  // provider, api, status, code → kind, and one reason as an example
  std::map<std::string, std::pair<int, std::string>> table;
  int errors = 0;
  for (std::string line; std::getline(manifest, line);) {
    const auto entry = nlohmann::json::parse(line);
    const auto kind = entry["kind"].get<std::string>();
    const auto& headers = entry["headers"];
    const auto header = [&headers](const char* name) { return headers.value(name, std::string()); };
    const std::string error_type = header("x-amzn-errortype");
    const std::string retry_after = header("retry-after");
    const std::string reset = header("x-ratelimit-reset");
    ResponseHead head;
    head.status = entry["status"].get<int>();
    head.error_type = error_type;
    head.retry_after = retry_after;
    head.reset = reset;
    const std::string text = contents(wire / entry["file"].get<std::string>());
    const auto bodies =
        kind == "error" ? std::vector<std::string>{text} : in_band_errors(kind, text);
    for (const std::string& body : bodies) {
      ++errors;
      const Failure failure = classify(kNow, head, body);
      SCOPED_TRACE(entry["file"].get<std::string>());
      expect_fit_to_tell(failure, body);
      std::ostringstream row;
      row << entry["provider"].get<std::string>() << " " << entry["api"].get<std::string>() << " "
          << head.status << " " << (failure.code.empty() ? "-" : "\"" + failure.code + "\"")
          << " → " << name_of(failure.kind);
      auto& [count, example] = table[row.str()];
      ++count;
      // The shortest, so that the order of the recordings does not matter.
      if (example.empty() || failure.reason.size() < example.size() ||
          (failure.reason.size() == example.size() && failure.reason < example))
        example = failure.reason;
    }
  }
  std::ostringstream printed;
  printed << "# Every recorded error: provider, API, status, code → kind, count | the shortest "
             "reason.\n"
             "# Written by failure_test with UPDATE_CASES=1; each row was reviewed against its "
             "bodies.\n";
  for (const auto& [row, cell] : table)
    printed << row << ", " << cell.first << " | " << beginning_of(cell.second) << "\n";
  std::cout << printed.str();
  EXPECT_GT(errors, 250);

  const std::filesystem::path golden =
      std::filesystem::path(SPILLWAY_SOURCE_DIR) / "tests/failure_table.txt";
  if (std::getenv("UPDATE_CASES") != nullptr)
    std::ofstream(golden, std::ios::binary) << printed.str();
  EXPECT_EQ(contents(golden), printed.str());
}

}  // namespace
}  // namespace spillway
