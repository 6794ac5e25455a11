// Networks as clients meet them, each a TCP proxy on loopback in front of any `{ host, port }`.
//
// Every rig has `url`, `port`, `counts` (what it did), `links` (what is open), the verbs `cut` (FIN), `reset` (RST),
// `freeze` and `thaw` (half-open), the switch `closed` (refuses new connections), and `stop`.

import { startBuffering } from './buffering.mjs';
import { startNat } from './nat.mjs';
import { startProxy } from './proxy.mjs';
import { startSilenceCut } from './silence-cut.mjs';
import { startSlowReader } from './slow-reader.mjs';

export { startBuffering, startNat, startProxy, startSilenceCut, startSlowReader };

/** The networks that a client may sit behind, by name; each takes the target and the scale of time. */
export const NETWORKS = {
  direct: (target) => startProxy(target),
  'a NAT that forgets after 60 s': (target, scale) => startNat(target, { scale }),
  'a proxy that cuts at 100 s': (target, scale) => startSilenceCut(target, { scale }),
  'a buffering proxy': (target) => startBuffering(target),
  'a buffering proxy that knows no exception': (target) => startBuffering(target, { polite: false }),
};
