/**
 * Things as they come, kept, so that a test waits for what happens instead of for time to pass. Any
 * number of tests may look at once; who waits in vain is ended by the test's own timeout.
 */

/** @template Item */
export class Feed {
  /** @type {Item[]} */ items = [];
  /** @type {(() => void)[]} */ #looking = [];

  /** @param {Item} item */
  push(item) {
    this.items.push(item);
    for (const look of this.#looking.splice(0)) look();
  }

  /** The first item that fits, when it has come. @param {(item: Item) => boolean} fits */
  async find(fits) {
    for (;;) {
      const found = this.items.find(fits);
      if (found !== undefined) return found;
      await new Promise((resolve) => this.#looking.push(() => resolve(undefined)));
    }
  }
}
