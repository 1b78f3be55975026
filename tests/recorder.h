// Actions that are written down: a host for tests that drive the core by hand.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "actions.h"

namespace spillway {

class Recorder final : public Actions {
 public:
  struct Fetch {
    ExchangeId exchange = ExchangeId::none;
    std::string head;
    std::string body;
  };
  struct Response {
    int times = 0;  // that it was begun: must be 1
    int status = 0;
    std::string head;
    std::string body;
    int writes = 0;
    int ends = 0;  // must be 1, once it is over
  };

  void fetch(ExchangeId exchange, std::string_view head, std::string_view body) override {
    fetches.push_back({exchange, std::string(head), std::string(body)});
  }
  void cancel(ExchangeId exchange) override { cancels.push_back(exchange); }
  void read(ChatId chat) override { reads.push_back(chat); }
  void respond(ChatId chat, int status, std::string_view head) override {
    Response& response = responses[chat];
    ++response.times;
    response.status = status;
    response.head = head;
  }
  void write(ChatId chat, std::string_view bytes) override {
    ++responses[chat].writes;
    responses[chat].body += bytes;
  }
  void splice(ChatId, ExchangeId exchange) override { splices.push_back(exchange); }
  void gather(ChatId, ExchangeId exchange, Millis within) override {
    gathers.emplace_back(exchange, within);
  }
  void end(ChatId chat) override { ++responses[chat].ends; }
  void wake(ChatId chat, Instant at) override { wakes[chat] = at; }
  void log(LogLevel level, std::string_view line) override { logs.emplace_back(level, line); }

  std::vector<Fetch> fetches;
  std::vector<ExchangeId> cancels;
  std::vector<ExchangeId> splices;
  std::vector<std::pair<ExchangeId, Millis>> gathers;
  std::vector<ChatId> reads;
  std::map<ChatId, Response> responses;
  std::map<ChatId, Instant> wakes;
  std::vector<std::pair<LogLevel, std::string>> logs;
};

}  // namespace spillway
