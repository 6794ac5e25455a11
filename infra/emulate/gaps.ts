// What the emulators lose, by name, and how it is verified instead. The list is exact: a test fails when one of these
// is read back as declared after all, and when anything else is not.

/** One property of `declared.json`, or a whole group that ends in `.`. */
export interface Gap {
  readonly path: string;
  readonly loses: string;
  readonly instead: 'moto' | 'ministack by API' | 'template' | 'live only' | 'no attribute';
}

/** Read back from ministack after `cdk deploy`, and different. */
export const LOST_BY_MINISTACK: readonly Gap[] = [
  { path: 'service.platform_version', loses: 'CloudFormation does not pass it on', instead: 'template' },
  { path: 'service.health_check_grace_period_seconds', loses: 'CloudFormation does not pass it on', instead: 'template' },
  { path: 'service.availability_zone_rebalancing', loses: 'CloudFormation does not pass it on', instead: 'template' },
  { path: 'network.task_port', loses: 'CloudFormation refuses rules between groups', instead: 'ministack by API' },
  { path: 'network.peer_port', loses: 'CloudFormation refuses rules between groups', instead: 'ministack by API' },
  { path: 'data.time_to_live_attribute', loses: 'CloudFormation does not pass it on', instead: 'moto' },
  { path: 'data.point_in_time_recovery', loses: 'CloudFormation does not pass it on', instead: 'moto' },
  { path: 'data.point_in_time_recovery_days', loses: 'CloudFormation does not pass it on, and moto does not keep it', instead: 'template' },
  { path: 'data.encryption', loses: 'CloudFormation does not pass it on', instead: 'moto' },
];

/** Never read from ministack. */
export const NOT_READ_FROM_MINISTACK: readonly Gap[] = [
  { path: 'load_balancer.firewall', loses: 'CloudFormation refuses the association', instead: 'moto' },
  { path: 'scaling.', loses: 'CloudFormation refuses scaling targets', instead: 'moto' },
  { path: 'signals.queries', loses: 'CloudFormation refuses saved queries', instead: 'template' },
  { path: 'signals.ping_minutes', loses: 'the schedule is text', instead: 'template' },
  { path: 'service.min_tasks', loses: 'a desired count that nothing scales', instead: 'template' },
  { path: 'service.strategy', loses: 'not kept', instead: 'template' },
  { path: 'tasks.distinct_zones_min', loses: 'a wish for tasks, which `verify` looks at', instead: 'no attribute' },
  { path: 'task_definition.revisions_retained', loses: 'read as the state of the first revision', instead: 'ministack by API' },
  { path: 'secrets.deploy_role', loses: 'CloudFormation refuses the OIDC provider', instead: 'template' },
  { path: 'secrets.key_alias', loses: 'read as `data.key_alias`', instead: 'no attribute' },
  { path: 'listener.certificate_min_days', loses: 'a wish for the certificate, which `verify` looks at', instead: 'no attribute' },
  { path: 'registry.image', loses: 'read as what tasks run', instead: 'no attribute' },
  { path: 'live.', loses: 'there is no load balancer that serves', instead: 'live only' },
  { path: 'account.id', loses: 'null: that of the credentials', instead: 'live only' },
  { path: 'account.region', loses: 'emulators have every region', instead: 'live only' },
  { path: 'version', loses: 'about the file itself', instead: 'no attribute' },
  { path: 'environment', loses: 'about the file itself', instead: 'no attribute' },
  { path: 'timeouts', loses: 'the same numbers for people', instead: 'no attribute' },
  { path: 'parameters.', loses: 'names that the release tool uses', instead: 'no attribute' },
  { path: 'outputs.', loses: 'used for reading', instead: 'no attribute' },
];

/** Whether a gap is about a property. */
export function isAbout(gap: Gap, path: string): boolean {
  return gap.path.endsWith('.') ? path.startsWith(gap.path) : path === gap.path;
}

/** The table of `docs/infrastructure.md`. */
export function gapTable(): string {
  const rows = [...LOST_BY_MINISTACK, ...NOT_READ_FROM_MINISTACK].map(({ path, loses, instead }) => `| \`${path.endsWith('.') ? `${path}*` : path}\` | ${loses} | ${instead} |`);
  return ['| Declared property | On ministack | Verified instead |', '| --- | --- | --- |', ...rows].join('\n');
}
