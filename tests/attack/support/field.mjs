/**
 * Where the attacks take place: real workers in workerd, made of what the chosen attacks need, and
 * the hostile provider that they all ask.
 *
 *   shared   the deployed bundle with client keys; its module's memory can be looked at
 *   tight    the same with small limits: 5 chats, 8 MB of bodies, 700 ms for one; one CORS origin
 *   twins    two that differ in nothing but their secrets
 *   closed   the deployed bundle without any client key
 *   dev      `wrangler dev` without any client key
 */

import { startDeployed, startWorker } from '../../e2e/support/worker.js';
import { clientOf, hangUp, secret } from './attacker.mjs';
import { startProvider } from './provider.mjs';

/** @import { Client, Got } from './attacker.mjs' */
/** @import { Asked, Serve } from './provider.mjs' */
/** @import { Worker, LogEvent } from '../../e2e/support/worker.js' */

/**
 * @typedef {'shared' | 'tight' | 'twins' | 'closed' | 'dev'} World
 *
 * @typedef {object} Setup  what of the worker's config is an attack's own
 * @property {Record<string, object>} [providers]
 * @property {Record<string, object>} [engines]
 * @property {Record<string, object>} [routes]
 * @property {Record<string, object>} [clients]  rows without `keys`
 * @property {Record<string, string>} [vars]
 *
 * @typedef {object} Attack
 * @property {string} name    also the folder of its provider
 * @property {string} gains   what an attacker would gain, in one sentence
 * @property {World} [world]
 * @property {(at: string, twin: number) => Setup} [setup]  `at`: the address of its provider
 * @property {Serve} [serve]
 * @property {(field: Field) => Promise<string>} run  tells what was tried; throws what was seen
 *
 * @typedef {object} Field  one attack's view
 * @property {string} url
 * @property {Worker} worker
 * @property {Worker} twin
 * @property {Asked[]} asked    what its provider was asked
 * @property {(name: string, url?: string) => Client} as  a client: alice, mallory, or of a row
 * @property {(got: Got) => Promise<LogEvent>} logOf  a chat's log line
 */

const MiB = 2 ** 20;

/** @type {Record<World, object>} */
const CONFIGS = {
  shared: {},
  twins: {},
  closed: {},
  dev: {},
  tight: {
    cors: { origin: 'https://app.example' },
    limits: {
      chats_max: 5, body_ms: 700, bodies_bytes_max: 8 * MiB, request_bytes_max: 4 * MiB,
    },
  },
};
/** Those with client keys have these clients, who may use everything and set nothing. */
const CLIENTS = ['alice', 'mallory'];
/** The client that SPILLWAY_KEYS makes. */
export const DEFAULT_KEY = 'sim-client';

/** @param {string} name */
const variableOf = (name) => `CLIENT_${name.toUpperCase().replaceAll('-', '_')}`;

/** @param {Attack[]} attacks  the chosen ones */
export async function startField(attacks) {
  const provider = await startProvider((name) =>
    attacks.find((attack) => attack.name === name)?.serve);
  /** @type {Map<string, string>} */
  const keys = new Map([['default', DEFAULT_KEY]]);
  const keyOf = (/** @type {string} */ name) => {
    const key = keys.get(name) ?? secret(`client-${name}-`);
    keys.set(name, key);
    return key;
  };

  /** @param {World} world @param {number} [twin] */
  const optionsOf = (world, twin = 0) => {
    const setups = attacks.filter((attack) => (attack.world ?? 'shared') === world)
      .map(({ name, setup }) => setup?.(`${provider.url}/${name}`, twin) ?? {});
    const guarded = world !== 'closed' && world !== 'dev';
    const clients = !guarded ? {} : Object.fromEntries([
      ...CLIENTS.map((name) => /** @type {const} */ ([name, {}])),
      ...setups.flatMap((setup) => Object.entries(setup.clients ?? {})),
    ].map(([name, row]) => [name, { keys: [variableOf(name)], ...row }]));
    const merged = (/** @type {keyof Setup} */ part) =>
      Object.assign({}, ...setups.map((setup) => setup[part]));
    return {
      config: {
        providers: merged('providers'), engines: merged('engines'), routes: merged('routes'),
        clients, ...CONFIGS[world],
      },
      vars: {
        ...(guarded ? { SPILLWAY_KEYS: DEFAULT_KEY } : {}),
        ...Object.fromEntries(Object.keys(clients).map((name) => [variableOf(name), keyOf(name)])),
        ...merged('vars'),
      },
    };
  };

  /** @type {Partial<Record<World, Worker[]>>} */
  const workers = {};
  /** @param {World} world */
  const start = async (world) => {
    const deployed = () => startDeployed({ ...optionsOf(world), probe: world === 'shared' });
    const started = world === 'dev' ? [startWorker(optionsOf(world))]
      : world === 'twins' ? [0, 1].map((twin) => startDeployed(optionsOf(world, twin)))
      : [deployed()];
    workers[world] = await Promise.all(started);
  };
  const stop = async () => {
    hangUp();
    await Promise.all(Object.values(workers).flat().map((worker) => worker.stop()));
    provider.close();
  };
  try {
    const worlds = new Set(attacks.map(({ world }) => world ?? 'shared'));
    await Promise.all([...worlds].map(start));
  } catch (error) {
    await stop();
    throw error;
  }

  return {
    stop,
    /** @param {Attack} attack @returns {Field} */
    of({ name, world = 'shared' }) {
      const [worker, twin] = /** @type {Worker[]} */ (workers[world]);
      return {
        url: worker.url, worker, twin,
        asked: provider.of(name),
        as: (client, url = worker.url) => clientOf(url, keyOf(client)),
        logOf: ({ id }) => worker.events.find((event) => event.request_id === id),
      };
    },
  };
}
