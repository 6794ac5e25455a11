// A proxy that ends a connection on which nothing happened for 100 s, as Cloudflare's does.

import { startProxy } from './proxy.mjs';

/** Cuts (FIN to both sides) once nothing has passed in either direction for `silenceMs` (100 s) times `scale`. */
export function startSilenceCut(target, { scale = 1, silenceMs = 100_000 } = {}) {
  return startProxy(target, (link, rig) => {
    const silence = link.after(silenceMs * scale, () => {
      rig.counts.silent += 1;
      link.cut();
    });
    return {
      up(chunk) {
        silence.refresh();
        link.toServer(chunk);
      },
      down(chunk) {
        silence.refresh();
        link.toClient(chunk);
      },
    };
  }, { silent: 0 });
}
