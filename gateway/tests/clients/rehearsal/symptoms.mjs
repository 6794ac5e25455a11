// What was wrong with gateways that dropped connections, done to the deployed one by hand: each is found by its id, and
// what is printed repairs it.

import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';

import { ADDRESS, startFront } from '../../../../xtask/probe/support/front.mjs';
import { until } from '../support/processes.mjs';
import { CHANGES, FAILURES, MOVES, REVISIONS, balancer, listener, ofBalancer, ofGroup, targetGroup } from './changes.mjs';
import { takenForAws } from './operator.mjs';
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

/** The ids that find changes. */
const idsOf = (changes) => changes.flatMap(({ id, ids = [id] }) => ids);
const groupsOf = (changes) => [...new Set(idsOf(changes).map(([letter]) => letter))].join('');

/** The first change of each group, then the second, ... */
const rounds = (changes) => {
  const groups = [...groupsOf(changes)].map((group) => changes.filter(({ id }) => id[0] === group));
  return Array.from({ length: Math.max(...groups.map(({ length }) => length)) }, (_, round) => groups.flatMap((group) => group.slice(round, round + 1)));
};

/** A step for each. */
export function symptoms(xtask) {
  const failing = async (groups, ...more) => {
    const { assertions } = await xtask.json('verify', ...ENVIRONMENT, '--quick', '--only', groups, ...more);
    return assertions.filter(({ verdict }) => verdict !== 'pass');
  };
  const expectRepaired = async (findings, groups, ...more) => {
    const rest = await failing(groups, ...more);
    findings.check(rest.length === 0 ? 'after the repair 0 fail' : `after the repair: ${shown(rest)}`, rest.length === 0);
  };
  /** Makes changes, each of another group, and expects what was repaired before to be so. */
  const changeAndRepair = async (findings, changes, settle = () => {}) => {
    for (const { change } of changes) await change();
    if (!changes.some(({ isOpen }) => isOpen)) await settle();
    const found = await failing(groupsOf(changes), ...changes.flatMap(({ more = [] }) => more));
    findings.check(`found: ${shown(found)}`, found.map(({ id }) => id).join() === idsOf(changes).join());
    const looks = changes.filter(({ undo }) => undo);
    for (const { undo } of looks) await undo();
    await repair(found.filter((one) => !idsOf(looks).includes(one.id)));
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
    [`${CHANGES.length} further attributes`, 'each change is found by its id and nothing else, and repaired by the command that is printed, or undone where that only looks', async (findings) => {
      for (const round of rounds(CHANGES)) await changeAndRepair(findings, round);
      await expectRepaired(findings, groupsOf(CHANGES));
    }],
    [`no task at all, and ${REVISIONS.length} attributes of the task definition`, 'each change is found by its id and nothing else, and repaired by the command that is printed', async (findings) => {
      // So that no task of such a revision is started.
      await scale(0);
      for (const change of REVISIONS) await changeAndRepair(findings, [change]);
      await changeAndRepair(findings, [{ id: 'B4', change: () => scale(0) }]);
      await stable();
      await expectRepaired(findings, 'BE');
    }],
    [`${MOVES.length} changes that replace tasks or targets, or have a second symptom`, 'each change is found by its id and nothing else of its group, and repaired by the command that is printed, or undone', async (findings) => {
      for (const change of MOVES) {
        await changeAndRepair(findings, [change], stable);
        await stable();
      }
      await until('healthy targets', async () => (await targets()).filter(({ TargetHealth }) => TargetHealth.State === 'healthy').length === 2, [], STABLE_MS);
      await expectRepaired(findings, groupsOf(MOVES), '--drift');
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
    takenForAws(keepToken, shown),
    // The secret was changed, and only one task has been started since. Which task a probe falls on is chance: what asks
    // often always notices, and what asks once may.
    ['two tasks without shared sessions', 'found as G3, L9 and L11, and as L10 and L13 where those fall on the other task; repaired by the command that is printed', async (findings) => {
      const token = await keepToken();
      await aws('secretsmanager', 'put-secret-value', '--secret-id', `${NAME}/session-secret`, '--secret-string', randomBytes(48).toString('base64'));
      const { taskArns: [task] } = await aws('ecs', 'list-tasks', '--cluster', NAME, '--service-name', NAME);
      await aws('ecs', 'stop-task', '--cluster', NAME, '--task', task);
      // ECS replaces a task by itself; ministack does when it is told the count again.
      await scale(2);
      await stable();
      const found = await failing('GL', ...token);
      const ids = found.map(({ id }) => id);
      const always = ['G3', 'L9', 'L11'];
      findings.check(`found: ${shown(found)}`, always.every((id) => ids.includes(id)) && ids.every((id) => [...always, 'L10', 'L13'].includes(id)));
      await repair(found);
      await stable();
      await expectRepaired(findings, 'GL');
    }],
    ['tasks that end as they should not', 'killed on the way out (D6), killed at the start (B2, D5), and three times in a row, which sends the deployment back (C1, C2): found by these ids alone; D5 and D6 for an hour', async (findings) => {
      for (const failure of FAILURES) {
        await failure.change();
        await stable();
        const found = await failing(groupsOf([failure]));
        findings.check(`found: ${shown(found)}`, found.map(({ id }) => id).join() === failure.ids.join());
        await failure.undo?.();
        await stable();
      }
      const rest = await failing(groupsOf(FAILURES));
      findings.check(`after the repair: ${shown(rest)}`, rest.map(({ id }) => id).join() === 'D5,D6');
    }],
  ];
}

const scale = (count) => aws('ecs', 'update-service', '--cluster', NAME, '--service', NAME, '--desired-count', String(count));

const targets = async () => (await aws('elbv2', 'describe-target-health', '--target-group-arn', await targetGroup())).TargetHealthDescriptions;

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
  console.log(`    targets: ${(await targets()).map(({ Target, TargetHealth }) => `${Target.Id} ${TargetHealth.State}`).join(', ')}`);
}
