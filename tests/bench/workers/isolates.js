/**
 * Answers each request with a new isolate of the Worker that its header names. Each is for one
 * request and goes with it: hundreds that stay would take from one another what a process has but
 * once (V8 then collects garbage in each new one).
 */

export default {
  /**
   * @param {Request} request
   * @param {{ WORKERS: string, WASM: ArrayBuffer, LOADER: any }} env
   */
  fetch(request, { WORKERS, WASM, LOADER }) {
    const { compatibility, main, sources, wasm, env } =
      JSON.parse(WORKERS)[request.headers.get('x-worker') ?? ''];
    const worker = LOADER.load({
      ...compatibility,
      mainModule: main,
      modules: wasm ? { ...sources, [wasm]: { wasm: WASM } } : sources,
      env,
    });
    return worker.getEntrypoint().fetch(request);
  },
};
