// A core of a few lines for the shim's tests: it speaks the host ABI and does what the first byte
// of the request body says; the rest of the body is the head of the upstream request.
//   p  relay: respond with the first chunk, write each chunk in two halves
//   r  the same, but respond with upstream's head
//   s  the same as p, then splice
//   h  answer with the head it was opened with
//   w  answer at a wake 50 ms later, with the `reading` flag it got
//   W  relay, and a wake every 50 ms until the host waits for the client: says so
//   o  trap in open    c  trap in the first chunk    d  trap in the second
//   j  the same as d, but the response is JSON
//   g  gather with the first chunk, and answer at the end with what was seen
//   G  the same, but answer with the fourth chunk
//   n  end with the first chunk, and leave the exchange open
//   {  chat(): relay from the address that env FAKE_URL holds
// A request without a body (GET) is answered at once, any other one's is asked for; more than a
// megabyte of it is refused when all is there.
// Every end and every close is logged, with what was seen until then. configure() takes the room for
// inputs back: whoever uses it afterwards without asking traps.

typedef unsigned char byte;
typedef unsigned long size_t;
#define HOST(name) __attribute__((import_module("host"), import_name(#name))) void host_##name
#define EXPORT(name) __attribute__((export_name(#name)))

HOST(fetch)(int exchange, const void* head, int head_len, const void* body, int body_len);
HOST(cancel)(int exchange);
HOST(read)(int chat);
HOST(respond)(int chat, int status, const void* head, int head_len);
HOST(write)(int chat, const void* bytes, int len);
HOST(splice)(int chat, int exchange);
HOST(gather)(int chat, int exchange, int within);
HOST(end)(int chat);
HOST(wake)(int chat, double at);
HOST(log)(int level, const void* text, int len);

enum { gather_ms = 200 };
enum { input_max = 1 << 20, kept_max = 16384, chats_max = 256, exchange_base = 1000 };

struct chat {
  byte mode;
  int responded, done, chunks, bytes;
  int body_bytes, reads;
  double seed;
};

static byte areas[2][input_max];
static byte* room;  // where the host puts the next input; null: it has to ask
static int rooms_asked;
static struct chat chats[chats_max];
static int chats_open;
static char config[input_max];
static char heads[chats_max][kept_max];
static byte bodies[chats_max][kept_max];  // the beginning of each
static int head_lens[chats_max];

static int length(const char* text) {
  int n = 0;
  while (text[n]) n++;
  return n;
}

static char* put(char* at, const char* text) {
  while (*text) *at++ = *text++;
  return at;
}

static char* put_number(char* at, int value) {
  if (value > 9) at = put_number(at, value / 10);
  *at++ = (char)('0' + value % 10);
  return at;
}

static const char* find(const char* text, const char* name) {
  for (; *text; text++) {
    int n = 0;
    while (name[n] && text[n] == name[n]) n++;
    if (!name[n]) return text + n;
  }
  return 0;
}

static void report(int id, const char* event) {
  char line[128];
  char* at = put(line, "{\"event\":\"");
  at = put(at, event);
  at = put(at, "\",\"chat\":");
  at = put_number(at, id);
  at = put(at, ",\"chunks\":");
  at = put_number(at, chats[id].chunks);
  at = put(at, ",\"bytes\":");
  at = put_number(at, chats[id].bytes);
  at = put(at, ",\"rooms\":");
  at = put_number(at, rooms_asked);
  *at++ = '}';
  host_log(1, line, (int)(at - line));
}

static void respond(int id, int status, const char* type) {
  char head[512];
  char* at = put(head, "{\"content-type\":\"");
  at = put(at, type);
  at = put(at, "\",\"x-spillway-attempts\":\"a:b=rate_limited;12ms, fake:one%20two=ok\"");
  at = put(at,
           ",\"server-timing\":\"attempt;desc=\\\"a:b rate_limited\\\";dur=12, "
           "attempt;desc=\\\"fake:one%20two ok\\\";dur=340, total;dur=352\"}");
  host_respond(id, status, head, (int)(at - head));
  chats[id].responded = 1;
}

static void tell_seen(int id) {
  char text[64];
  char* at = put_number(put(text, "{\"chunks\":"), chats[id].chunks);
  at = put_number(put(at, ",\"bytes\":"), chats[id].bytes);
  *at++ = '}';
  respond(id, 200, "application/json");
  host_write(id, text, (int)(at - text));
}

static void end(int id) {
  report(id, "end");
  chats[id].done = 1;
  host_end(id);
}

EXPORT(abi_version) int abi_version(void) { return 4; }

EXPORT(input) byte* input(int len) {
  if (len < 0 || len > input_max) return 0;
  rooms_asked++;
  return room = areas[chats_open % 2];
}

static byte* taken(void) {
  if (!room) __builtin_trap();
  return room;
}

EXPORT(configure) int configure(int len) {
  for (int i = 0; i < len; i++) config[i] = (char)taken()[i];
  config[len] = 0;
  room = 0;
  if (!find(config, "REFUSE_ME")) return 0;
  static const char reason[] =
      "{\"event\":\"config_refused\",\"path\":\"providers.acme.base_url\","
      "\"message\":\"expected an https address\"}";
  host_log(3, reason, sizeof reason - 1);
  return 1;
}

EXPORT(log_providers) void log_providers(void) {
  static const char line[] = "{\"event\":\"providers\"}";
  host_log(1, line, sizeof line - 1);
}

static void tell_head(int id) {
  respond(id, 200, "application/json");
  host_write(id, "{\"seed\":", 8);
  char number[16];
  host_write(id, number, (int)(put_number(number, (int)(chats[id].seed / 4194304)) - number));
  host_write(id, ",\"head\":", 8);
  host_write(id, heads[id], head_lens[id]);
  host_write(id, ",\"config\":", 10);
  host_write(id, config, length(config));
  host_write(id, "}", 1);
  end(id);
}

EXPORT(open) int open(double now, double seed, int head_len) {
  int id = ++chats_open % chats_max;
  __builtin_wasm_memory_grow(0, 1);  // the host's view of memory is stale from here
  chats[id] = (struct chat){0};
  chats[id].seed = seed;
  head_lens[id] = head_len;
  for (int i = 0; i < head_len && i < kept_max - 1; i++) heads[id][i] = (char)taken()[i];
  heads[id][head_len < kept_max ? head_len : kept_max - 1] = 0;
  if (find(heads[id], "\"refuse\":")) {
    respond(id, 401, "application/json");
    end(id);
  } else if (find(heads[id], "\"method\":\"GET\"")) {
    tell_head(id);
  } else {
    chats[id].reads = 1;
    if (find(heads[id], "\"deadline\":")) host_wake(id, now + 50);
    host_read(id);
  }
  return id;
}

EXPORT(on_body) void on_body(double now, int id, int rest, int len) {
  struct chat* chat = &chats[id];
  if (!chat->reads || chat->done) __builtin_trap();
  byte* const body = bodies[id];
  for (int i = 0; i < len && chat->body_bytes + i < kept_max; i++)
    body[chat->body_bytes + i] = taken()[i];
  chat->body_bytes += len;
  if (rest == 0) return;
  len = chat->body_bytes;
  chat->reads = 0;
  if (rest == 2 || chat->body_bytes > input_max) {
    respond(id, rest == 2 ? 400 : 413, "application/json");
    end(id);
    return;
  }
  chat->mode = len ? body[0] : 'h';
  if (chat->mode == 'o') __builtin_trap();
  if (chat->mode == 'h') return tell_head(id);
  if (chat->mode == 'w' || chat->mode == 'W') host_wake(id, now + 50);
  if (chat->mode == 'w') return;
  if (chat->mode == '{') {
    const char* url = find(config, "\"FAKE_URL\":\"");
    char head[512];
    char* at = put(head, "{\"method\":\"POST\",\"headers\":{},\"url\":\"");
    while (*url != '"') *at++ = *url++;
    at = put(at, "\"}");
    host_fetch(exchange_base + id, head, (int)(at - head), body, len);
  } else {
    host_fetch(exchange_base + id, body + 1, len - 1, "hello", 5);
  }
}

EXPORT(on_response) void on_response(double now, int exchange, int status, int head_len) {
  int id = exchange - exchange_base;
  if (chats[id].mode == 'r') respond(id, 200, "text/event-stream");
  if (status < 300 || chats[id].done) return;
  respond(id, 502, "application/json");
  static const char text[] =
      "{\"error\":{\"message\":\"upstream said "
      "no\",\"type\":\"server_error\",\"code\":\"refused\"}}";
  host_write(id, text, sizeof text - 1);
  host_cancel(exchange);
  end(id);
}

EXPORT(on_chunk) void on_chunk(double now, int exchange, int len) {
  int id = exchange - exchange_base;
  struct chat* chat = &chats[id];
  if (chat->done) return;
  chat->chunks++;
  chat->bytes += len;
  if (chat->mode == 'c') __builtin_trap();
  if (chat->mode == 'g' || chat->mode == 'G') {
    if (chat->chunks == 1) host_gather(id, exchange, gather_ms);
    if (chat->mode == 'g' || chat->chunks < 4) return;
    tell_seen(id);
    return end(id);
  }
  if (!chat->responded)
    respond(id, 200, chat->mode == 'j' ? "application/json" : "text/event-stream");
  if ((chat->mode == 'd' || chat->mode == 'j') && chat->chunks == 2) __builtin_trap();
  if (chat->mode == 's' && chat->chunks > 1) return;
  host_write(id, taken(), len / 2);
  host_write(id, taken() + len / 2, len - len / 2);
  if (chat->mode == 's') host_splice(id, exchange);
  if (chat->mode == 'n') end(id);
}

EXPORT(on_end) void on_end(double now, int exchange) {
  int id = exchange - exchange_base;
  if (chats[id].done) return;
  if (chats[id].mode == 'g') {
    tell_seen(id);
  } else if (!chats[id].responded) {
    respond(id, 200, "text/event-stream");
  }
  if (chats[id].mode == 's') host_write(id, ": end\n\n", 7);
  end(id);
}

EXPORT(on_error) void on_error(double now, int exchange, int len) {
  int id = exchange - exchange_base;
  if (chats[id].done) return;
  if (!chats[id].responded) respond(id, 502, "application/json");
  host_write(id, "data: {\"error\":{\"code\":\"cut\",\"message\":\"", 40);
  host_write(id, taken(), len);
  host_write(id, "\"}}\n\n", 5);
  end(id);
}

EXPORT(on_wake) void on_wake(double now, int id, int reading) {
  if (chats[id].done) return;
  if (chats[id].reads) {
    respond(id, 408, "application/json");
    end(id);
    return;
  }
  if (chats[id].mode == 'W') {
    if (reading) return host_wake(id, now + 50);
    host_write(id, "gave way\n\n", 10);
    report(id, "gave_way");
    return;
  }
  respond(id, 200, "text/plain");
  host_write(id, reading ? "1" : "0", 1);
  end(id);
}

EXPORT(close) void close(double now, int id) {
  if (chats[id].done) return;
  chats[id].done = 1;
  report(id, "close");
  if (!chats[id].reads) host_cancel(exchange_base + id);
  host_wake(id, 0);
}
