/** Answers each request with a new isolate of the Worker that its header names. */

let started = 0;

export default {
  /**
   * @param {Request} request
   * @param {{ WORKERS: string, WASM: ArrayBuffer, LOADER: any }} env
   */
  fetch(request, { WORKERS, WASM, LOADER }) {
    const { main, sources, wasm, env } = JSON.parse(WORKERS)[request.headers.get('x-worker') ?? ''];
    started += 1;
    const worker = LOADER.get(String(started), () => ({
      compatibilityDate: '2026-11-01',
      compatibilityFlags: ['enable_request_signal'],
      mainModule: main,
      modules: wasm ? { ...sources, [wasm]: { wasm: WASM } } : sources,
      env,
    }));
    return worker.getEntrypoint().fetch(request);
  },
};
