/** Spillway in Bun, which runs Node's entry unchanged. */

export * from './node.js';
