/** The AI SDK as its documentation shows it: a chat route that answers with a UI message stream. */

// @ts-ignore: only the bench installs it
import { createOpenAI } from '@ai-sdk/openai';
// @ts-ignore: only the bench installs it
import { streamText } from 'ai';

export default {
  /** @param {Request} request @param {{ UPSTREAM: string }} env */
  async fetch(request, { UPSTREAM }) {
    const { model, messages, max_tokens } = /** @type {any} */ (await request.json());
    const openai = createOpenAI({ baseURL: `${UPSTREAM}/openai/v1`, apiKey: 'test-key' });
    const result = streamText({
      model: openai.chat(model), messages, maxOutputTokens: max_tokens, abortSignal: request.signal,
    });
    return result.toUIMessageStreamResponse();
  },
};
