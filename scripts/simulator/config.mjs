/**
 * The Spillway config for the simulated upstream: three providers without keys, and the three
 * routes over them. The first engine of the standard route is always rate limited, so the first
 * request anyone sends shows a failover.
 */

/** @param {object} [more] */
const engine = (more = {}) => ({
  context_window: 200_000,
  max_output: 8192,
  price_in: 1,
  price_out: 5,
  cost: 'mid',
  latency: 'standard',
  capabilities: ['vision', 'tools', 'json_mode', 'json_schema'],
  ...more,
});

const REASONER = {
  latency: 'reasoning',
  capabilities: ['vision', 'tools', 'json_mode', 'json_schema', 'reasoning'],
};
const PREFILL = { capabilities: ['vision', 'tools', 'json_mode', 'json_schema', 'prefill'] };
const CHEAP = { price_in: 0.1, price_out: 0.4, cost: 'low', latency: 'fast' };

/**
 * @param {string} baseUrl  where the simulator listens, `http://127.0.0.1:8788`
 */
export function simulatorConfig(baseUrl) {
  const origin = baseUrl.replace(/\/+$/, '');
  /** @param {string} name @param {string} dialect @param {string} path @param {object} [headers] */
  const provider = (name, dialect, path, headers) => ({
    name, dialect, base_url: `${origin}${path}`, keys: [], auth: 'none', simulated: true,
    regular_stream: true, ...(headers ? { headers } : {}),
  });
  const chain = ['sim-openai:unstable', 'sim-anthropic:steady', 'sim-gemini:steady'];
  return {
    providers: {
      'sim-openai': provider('Simulated OpenAI', 'openai_chat', '/openai/v1'),
      'sim-anthropic': provider('Simulated Anthropic', 'anthropic', '/anthropic/v1',
        { 'anthropic-version': '2023-06-01' }),
      'sim-gemini': provider('Simulated Gemini', 'gemini', '/gemini/v1beta'),
    },
    engines: {
      'sim-openai:unstable': engine(),
      'sim-openai:steady': engine(),
      'sim-openai:reasoner': engine(REASONER),
      'sim-anthropic:steady': engine(PREFILL),
      'sim-anthropic:reasoner': engine(REASONER),
      'sim-gemini:steady': engine(CHEAP),
      'sim-gemini:reasoner': engine(REASONER),
    },
    routes: {
      critical: { chain: [...chain, 'sim-openai:steady'], attempts_max: 4 },
      standard: { chain, attempts_max: 3 },
      bulk: { chain: ['sim-gemini:steady', 'sim-openai:steady'], attempts_max: 2 },
    },
    default_route: 'standard',
  };
}
