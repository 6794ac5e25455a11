// A client on a line that is too thin for what the server sends.

import { startProxy } from './proxy.mjs';

/**
 * Reads `bytesPerSecond` from the server, on average; 0 reads nothing after `first` bytes.
 * What the kernel's buffers take comes on top: nothing but its own pace tells the kernel to be slow.
 */
export function startSlowReader(target, { bytesPerSecond = 1_000, first = 0 } = {}) {
  return startProxy(target, (link, rig) => {
    let free = first;
    const pause = (ms) => {
      link.held.add(link.server);
      link.server.pause();
      rig.counts.pauses += 1;
      if (ms === Infinity) return;
      link.after(ms, () => {
        link.held.delete(link.server);
        if (!link.frozen && link.client.writableLength === 0) link.server.resume();
      });
    };
    return {
      down(chunk) {
        free -= chunk.length;
        if (free < 0) pause(bytesPerSecond === 0 ? Infinity : Math.min(chunk.length, -free) / bytesPerSecond * 1_000);
        link.toClient(chunk);
      },
    };
  }, { pauses: 0 });
}
