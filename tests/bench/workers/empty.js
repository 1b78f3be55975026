/** Yardstick of a cold start: answers by itself. */

export default {
  fetch: () => new Response('here\n'),
};
