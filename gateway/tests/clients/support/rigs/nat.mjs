// A router with address translation that forgets a connection after a minute of silence, as many do.

import { startProxy } from './proxy.mjs';

/**
 * Forgets a connection once nothing has passed in either direction for `forgetMs` (60 s) times `scale`.
 * From then on bytes vanish, without FIN or RST; the client's next ones are answered RST (`later: 'reset'`),
 * or vanish as well (`later: 'drop'`).
 *
 * The kernel of this machine still acknowledges what the server sends into the void; a peer that does not even
 * do that is played in `half-open.test.mjs`.
 */
export function startNat(target, { scale = 1, forgetMs = 60_000, later = 'reset' } = {}) {
  const counts = { forgotten: 0, vanishedUp: 0, vanishedDown: 0 };
  return startProxy(target, (link, rig) => {
    let forgotten = false;
    const silence = link.after(forgetMs * scale, () => {
      forgotten = true;
      link.severed = true;
      rig.counts.forgotten += 1;
    });
    const refuse = () => {
      if (later === 'drop') return;
      rig.counts.reset += 1;
      link.client.resetAndDestroy();
    };
    const heard = (pass, vanish) => (chunk) => {
      if (forgotten) return vanish(chunk);
      silence.refresh();
      return pass(chunk);
    };
    return {
      up: heard((chunk) => link.toServer(chunk), (chunk) => {
        rig.counts.vanishedUp += chunk.length;
        refuse();
      }),
      down: heard((chunk) => link.toClient(chunk), (chunk) => {
        rig.counts.vanishedDown += chunk.length;
      }),
      ended(from) {
        if (!forgotten) link.other(from).end();
        else if (from === link.client) refuse();
      },
    };
  }, counts);
}
