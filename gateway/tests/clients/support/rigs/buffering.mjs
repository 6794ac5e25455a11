// A proxy that collects a response before it passes it on.

import { startProxy } from './proxy.mjs';
import { Responses } from './responses.mjs';

/**
 * Holds the bytes of a response until there are `bytes` of them or the response is complete.
 * `polite`: a response with `X-Accel-Buffering: no` passes at once, as nginx lets it; else nothing does.
 */
export function startBuffering(target, { bytes = 16_384, polite = true } = {}) {
  return startProxy(target, (link, rig) => {
    const responses = new Responses();
    let held = [];
    let size = 0;
    let streams = false;
    const release = () => {
      for (const data of held) link.toClient(data);
      held = [];
      size = 0;
    };
    return {
      up(chunk) {
        responses.request(chunk);
        link.toServer(chunk);
      },
      down(chunk) {
        for (const { data, head, end } of responses.read(chunk)) {
          if (head) {
            streams = polite && head.headers['x-accel-buffering'] === 'no';
            rig.counts[streams ? 'passed' : 'buffered'] += 1;
          }
          held.push(data);
          size += data.length;
          if (streams || end || size >= bytes) release();
        }
      },
      ended(from) {
        // The end of the connection is the end of the response; what is held goes out before the FIN.
        if (from === link.server) release();
        link.other(from).end();
      },
    };
  }, { buffered: 0, passed: 0 });
}
