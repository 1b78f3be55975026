/** What the entries of single runtimes use and no shared type library declares. */

declare module '*.wasm?module' {
  const module: WebAssembly.Module;
  export default module;
}

declare module '*.wasm' {
  const module: WebAssembly.Module;
  export default module;
}

declare module 'cloudflare:workers' {
  export const env: Record<string, unknown>;
}

declare const Deno: { env: { toObject(): Record<string, string> } };
