// What was wrong with gateways that dropped connections, done to the deployed one by hand: each is found by its id, and
// what is printed repairs it.

import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { ADDRESS, startFront } from '../../../../xtask/probe/support/front.mjs';
import { until } from '../support/processes.mjs';
import { CHANGES, balancer, listener, ofBalancer, ofGroup, targetGroup } from './changes.mjs';
import { AWS, ENVIRONMENT, HOSTS, MCP, NAME, ROOT, authority, aws, run } from './stage.mjs';

/** The account's side of everything in front of the gateway. */
const GROUPS = 'HIJK';

/** What is done to the account's side, and the ids that find it. */
const SYMPTOMS = [
  ['the idle timeout is 60 s', ['H2'], () => ofBalancer('idle_timeout.timeout_seconds', '60')],
  ['stickiness is off', ['J3'], () => ofGroup('stickiness.enabled', 'false')],
  ['the deregistration delay is 0', ['J4'], () => ofGroup('deregistration_delay.timeout_seconds', '0')],
  ['the health check asks for another page', ['J2'], async () => aws('elbv2', 'modify-target-group', '--target-group-arn', await targetGroup(), '--health-check-path', '/healthz')],
  ['the certificate is for another name', ['I2'], async () => {
    const { CertificateArn } = await aws('acm', 'request-certificate', '--domain-name', 'other.example.com', '--validation-method', 'DNS');
    await aws('elbv2', 'modify-listener', '--listener-arn', await listener('HTTPS'), '--certificates', `CertificateArn=${CertificateArn}`);
  }],
  ['443 is closed', ['K1'], async () => {
    const [group] = (await balancer()).SecurityGroups;
    await aws('ec2', 'revoke-security-group-ingress', '--group-id', group, '--protocol', 'tcp', '--port', '443', '--cidr', '0.0.0.0/0');
  }],
];

/** What CloudFront adds to every answer. */
const OF_CLOUDFRONT = { via: '1.1 0123456789abcdef.cloudfront.net (CloudFront)', 'x-amz-cf-pop': 'IAD12-P1', 'x-amz-cf-id': 'c3ltcHRvbQ==', 'x-cache': 'Miss from cloudfront' };
/** Where an access token is kept for `verify`, from before the harm. */
const TOKEN = join(ROOT, '.dev/local/rehearsal.token');

async function keepToken() {
  await writeFile(TOKEN, await run(process.env.XTASK_BIN, ['local', 'token'], { cwd: ROOT }), { mode: 0o600 });
  return ['--token-file', TOKEN];
}

/** Runs what is printed, as a person would in a shell. */
const repair = (found) => Promise.all([...new Set(found.map(({ fix }) => fix))].map((fix) => run('sh', ['-c', `PATH='${dirname(AWS)}':$PATH\n${fix}`], {
  env: { ...process.env, AWS_ACCESS_KEY_ID: 'AKIAMINI', AWS_SECRET_ACCESS_KEY: 'emulated', AWS_PAGER: '' },
})));

const shown = (found) => found.map(({ id, what, actual, reason }) => `${id} ${what}: ${actual ?? reason}`).join('; ') || 'nothing';

/** A step for each. */
export function symptoms(xtask) {
  const failing = async (groups, ...more) => {
    const { assertions } = await xtask.json('verify', ...ENVIRONMENT, '--quick', '--only', groups, ...more);
    return assertions.filter(({ verdict }) => verdict !== 'pass');
  };
  const expectRepaired = async (findings, groups) => {
    const rest = await failing(groups);
    findings.check(rest.length === 0 ? 'after the repair 0 fail' : `after the repair: ${shown(rest)}`, rest.length === 0);
  };
  const ofAccount = SYMPTOMS.map(([name, ids, harm]) => [name, `found as ${ids.join(' and ')} and nothing else, and repaired by the command that is printed`, async (findings) => {
    await harm();
    const found = await failing(GROUPS);
    findings.check(`found: ${shown(found)}`, found.map(({ id }) => id).join() === ids.join());
    await repair(found);
    await expectRepaired(findings, GROUPS);
  }]);
  return [
    ...ofAccount,
    [`${CHANGES.length} further attributes, one after the other`, 'each change is found by its id and nothing else, and repaired by the command that is printed', async (findings) => {
      for (const [id, change] of CHANGES) {
        await change();
        // That the one before was repaired shows here, too.
        const found = await failing(id[0]);
        findings.check(`found: ${shown(found)}`, found.map(({ id }) => id).join() === id);
        await repair(found);
      }
      await expectRepaired(findings, [...new Set(CHANGES.map(([id]) => id[0]))].join(''));
    }],
    ['a caching CDN is in front', 'found as L4 and nothing else, by the name of the CDN, and gone when the load balancer is asked itself', async (findings) => {
      const { 'mcp.local.example.com': address } = HOSTS;
      const { origin, hostname } = new URL(MCP);
      const server = join(dirname(authority()), 'server.pem');
      const wrong = { after: (_, { headers }) => Object.assign(headers, OF_CLOUDFRONT) };
      const token = await keepToken();
      const front = await startFront({ origin, address, authority: authority(), server, httpPort: 80, wrong });
      try {
        const found = await failing('L', '--resolve', `${hostname}:443:${ADDRESS}`, '--authority', authority(), ...token);
        findings.check(`found: ${shown(found)}`, found.map(({ id }) => id).join() === 'L4' && found[0].actual.includes('CloudFront'));
        findings.check(`fix: ${found[0]?.fix}`, found[0]?.fix.includes('point at the load balancer itself'));
      } finally {
        await front.close();
      }
      await expectRepaired(findings, 'L');
    }],
    // The secret was changed, and only one task has been started since. Which task a probe falls on is chance: what asks
    // often always notices, and what asks once may.
    ['two tasks without shared sessions', 'found as G3, L9 and L11, and as L10 and L13 where those fall on the other task; repaired by the command that is printed', async (findings) => {
      const token = await keepToken();
      await aws('secretsmanager', 'put-secret-value', '--secret-id', `${NAME}/session-secret`, '--secret-string', randomBytes(48).toString('base64'));
      const { taskArns: [task] } = await aws('ecs', 'list-tasks', '--cluster', NAME, '--service-name', NAME);
      await aws('ecs', 'stop-task', '--cluster', NAME, '--task', task);
      // ECS replaces a task by itself; ministack does when it is told the count again.
      await aws('ecs', 'update-service', '--cluster', NAME, '--service', NAME, '--desired-count', '2');
      await stable();
      const found = await failing('GL', ...token);
      const ids = found.map(({ id }) => id);
      const always = ['G3', 'L9', 'L11'];
      findings.check(`found: ${shown(found)}`, always.every((id) => ids.includes(id)) && ids.every((id) => [...always, 'L10', 'L13'].includes(id)));
      await repair(found);
      await stable();
      await expectRepaired(findings, 'GL');
    }],
  ];
}

const STABLE_MS = 120_000;

/**
 * Waits until every task of the service is one of its newest deployment, and in the rotation. `aws ecs wait` does not do:
 * it wants no other deployment, and ministack lists one that failed for ever.
 */
async function stable() {
  await until('a stable service', async () => {
    const { services: [{ deployments }] } = await aws('ecs', 'describe-services', '--cluster', NAME, '--services', NAME);
    const { rolloutState, runningCount, desiredCount } = deployments.find(({ status }) => status === 'PRIMARY');
    return rolloutState === 'COMPLETED' && runningCount === desiredCount;
  }, [], STABLE_MS);
  const { TargetHealthDescriptions: targets } = await aws('elbv2', 'describe-target-health', '--target-group-arn', await targetGroup());
  console.log(`    targets: ${targets.map(({ Target, TargetHealth }) => `${Target.Id} ${TargetHealth.State}`).join(', ')}`);
}
