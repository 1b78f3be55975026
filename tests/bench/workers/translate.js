/**
 * Anthropic → OpenAI in plain JavaScript, as one writes it in an afternoon: text, tools left out,
 * no failover, no deadline. What the same work costs without a core.
 */

const kFinish = /** @type {Record<string, string>} */ ({
  end_turn: 'stop', stop_sequence: 'stop', max_tokens: 'length', tool_use: 'tool_calls',
  refusal: 'content_filter',
});

export default {
  /** @param {Request} request @param {{ UPSTREAM: string }} env */
  async fetch(request, { UPSTREAM }) {
    const asked = /** @type {any} */ (await request.json());
    const answer = await fetch(`${UPSTREAM}/anthropic/v1/messages`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'anthropic-version': '2023-06-01' },
      body: JSON.stringify(toAnthropic(asked)),
    });
    if (!answer.ok || !answer.body) {
      const { error } = /** @type {any} */ (await answer.json());
      return Response.json({ error }, { status: answer.status });
    }
    const include_usage = asked.stream_options?.include_usage === true;
    return new Response(answer.body.pipeThrough(toOpenai(asked.model, include_usage)), {
      headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' },
    });
  },
};

/** @param {any} asked */
function toAnthropic({ model, messages, max_tokens = 4096, temperature, stop, stream }) {
  const isSystem = (/** @type {any} */ message) => message.role === 'system';
  const system = messages.filter(isSystem).map((/** @type {any} */ each) => each.content);
  return {
    model, max_tokens, temperature, stream,
    stop_sequences: stop === undefined ? undefined : [stop].flat(),
    system: system.length > 0 ? system.join('\n\n') : undefined,
    messages: messages.filter((/** @type {any} */ message) => !isSystem(message)),
  };
}

/**
 * @param {string} model @param {boolean} include_usage
 * @returns {TransformStream<Uint8Array, Uint8Array>}
 */
function toOpenai(model, include_usage) {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  const created = Math.floor(Date.now() / 1000);
  let id = '';
  let input_tokens = 0;
  let rest = '';

  /** @param {any} more */
  const chunk = (more) => encoder.encode(`data: ${JSON.stringify({
    id, object: 'chat.completion.chunk', created, model, ...more,
  })}\n\n`);
  /** @param {object} delta @param {string | null} finish_reason */
  const choice = (delta, finish_reason = null) =>
    chunk({ choices: [{ index: 0, delta, finish_reason }] });

  return new TransformStream({
    transform(bytes, controller) {
      rest += decoder.decode(bytes, { stream: true });
      const events = rest.split('\n\n');
      rest = events.pop() ?? '';
      for (const event of events) {
        const line = event.split('\n').find((each) => each.startsWith('data: '));
        if (line === undefined) continue;
        const data = JSON.parse(line.slice(6));
        switch (data.type) {
          case 'message_start':
            ({ id } = data.message);
            ({ input_tokens } = data.message.usage);
            controller.enqueue(choice({ role: 'assistant', content: '' }));
            break;
          case 'content_block_delta':
            if (data.delta.type === 'text_delta') {
              controller.enqueue(choice({ content: data.delta.text }));
            }
            break;
          case 'message_delta': {
            controller.enqueue(choice({}, kFinish[data.delta.stop_reason] ?? 'stop'));
            if (!include_usage) break;
            const { output_tokens } = data.usage;
            controller.enqueue(chunk({
              choices: [],
              usage: {
                prompt_tokens: input_tokens, completion_tokens: output_tokens,
                total_tokens: input_tokens + output_tokens,
              },
            }));
            break;
          }
          case 'message_stop':
            controller.enqueue(encoder.encode('data: [DONE]\n\n'));
            break;
          case 'error':
            controller.enqueue(encoder.encode(`data: ${JSON.stringify(data)}\n\n`));
            break;
        }
      }
    },
  });
}
