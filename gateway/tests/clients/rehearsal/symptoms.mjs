// What was wrong with gateways that dropped connections, done to the deployed one by hand: each is found by its id, and
// the command that is printed repairs it.

import { AWS, ENVIRONMENT, NAME, aws, run } from './stage.mjs';

/** The account's side of everything in front of the gateway. */
const GROUPS = 'HIJK';

const balancer = async () => (await aws('elbv2', 'describe-load-balancers', '--names', NAME)).LoadBalancers[0];
const targetGroup = async () => (await aws('elbv2', 'describe-target-groups')).TargetGroups.find(({ HealthCheckPath }) => HealthCheckPath === '/health').TargetGroupArn;
const https = async () => {
  const { Listeners } = await aws('elbv2', 'describe-listeners', '--load-balancer-arn', (await balancer()).LoadBalancerArn);
  return Listeners.find(({ Protocol }) => Protocol === 'HTTPS').ListenerArn;
};
const ofBalancer = async (name, value) =>
  aws('elbv2', 'modify-load-balancer-attributes', '--load-balancer-arn', (await balancer()).LoadBalancerArn, '--attributes', `Key=${name},Value=${value}`);
const ofGroup = async (name, value) =>
  aws('elbv2', 'modify-target-group-attributes', '--target-group-arn', await targetGroup(), '--attributes', `Key=${name},Value=${value}`);

/** What is done, and the ids that find it. */
const SYMPTOMS = [
  ['the idle timeout is 60 s', ['H2'], () => ofBalancer('idle_timeout.timeout_seconds', '60')],
  ['stickiness is off', ['J3'], () => ofGroup('stickiness.enabled', 'false')],
  ['the deregistration delay is 0', ['J4'], () => ofGroup('deregistration_delay.timeout_seconds', '0')],
  ['the health check asks for another page', ['J2'], async () => aws('elbv2', 'modify-target-group', '--target-group-arn', await targetGroup(), '--health-check-path', '/healthz')],
  ['the certificate is for another name', ['I2'], async () => {
    const { CertificateArn } = await aws('acm', 'request-certificate', '--domain-name', 'other.example.com', '--validation-method', 'DNS');
    await aws('elbv2', 'modify-listener', '--listener-arn', await https(), '--certificates', `CertificateArn=${CertificateArn}`);
  }],
  ['443 is closed', ['K1'], async () => {
    const [group] = (await balancer()).SecurityGroups;
    await aws('ec2', 'revoke-security-group-ingress', '--group-id', group, '--protocol', 'tcp', '--port', '443', '--cidr', '0.0.0.0/0');
  }],
];

/** A step for each. */
export function symptoms(xtask) {
  const failing = async () => {
    const { assertions } = await xtask.json('verify', ...ENVIRONMENT, '--quick', '--only', GROUPS);
    return assertions.filter(({ verdict }) => verdict !== 'pass');
  };
  return SYMPTOMS.map(([name, ids, harm]) => [name, `found as ${ids.join(' and ')} and nothing else, and repaired by the command that is printed`, async (findings) => {
    await harm();
    const found = await failing();
    const shown = found.map(({ id, what, actual, reason }) => `${id} ${what}: ${actual ?? reason}`);
    findings.check(`found: ${shown.join('; ') || 'nothing'}`, found.map(({ id }) => id).join() === ids.join());
    for (const fix of new Set(found.map((one) => one.fix))) await run('sh', ['-c', `PATH='${AWS.replace(/\/aws$/, '')}':$PATH\n${fix}`], { env: { ...process.env, AWS_ACCESS_KEY_ID: 'AKIAMINI', AWS_SECRET_ACCESS_KEY: 'emulated', AWS_PAGER: '' } });
    const rest = await failing();
    findings.check(`after the repair ${rest.length} fail`, rest.length === 0);
  }]);
}
