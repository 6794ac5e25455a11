// The load balancer uses an idle connection again, just before it would have given it up.

import { setTimeout as sleep } from 'node:timers/promises';

import { openAgent } from '../../support/agents.mjs';
import { Connection, message, posting } from '../../support/raw.mjs';
import { Findings } from '../figures.mjs';

/** Idle timeout of the load balancer. */
const IDLE_MS = 300_000;

export default {
  name: 'idle connections are used again',
  proves: 'T12',
  required: "10,000 requests over connections that were idle for 0.9-1.0 x the load balancer's idle timeout: no reset",
  parallel: true,
  short: { connections: 500, rounds: 4 },
  real: { connections: 2_000, rounds: 5 },
  async run(stage, { connections, rounds }) {
    const findings = new Findings();
    const agent = await openAgent('SDK 1.32.2, Streamable HTTP', stage.mcp, stage.login());
    const { access_token: token } = stage.login().tokens();
    const [task] = stage.tasks;
    const failures = [];
    let requests = 0;
    const use = async (connection) => {
      requests += 1;
      const { status } = await connection.request('POST', '/mcp', posting(token, agent.session), message('ping'));
      if (status !== 200) throw new Error(`status ${status}`);
    };
    await Promise.all(Array.from({ length: connections }, async (_, index) => {
      // Not all at the same moment, as nobody's load balancer does that.
      await sleep(index * 2);
      const connection = new Connection({ port: task.port });
      try {
        await use(connection);
        for (let round = 0; round < rounds; round += 1) {
          await sleep(stage.ms(IDLE_MS) * (0.9 + 0.1 * Math.random()));
          await use(connection);
        }
      } catch (error) {
        failures.push(String(error));
      }
      connection.close();
    }));
    findings.check(`${requests} requests, ${requests - connections} of them after an idle time`, requests >= connections * (rounds + 1));
    findings.none('of them met a connection that was gone', failures);
    await agent.close();
    return findings;
  },
};
