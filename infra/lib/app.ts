// Wires environments into an app, with the rules that every synth is checked against.

import { readFileSync } from 'node:fs';

import { App, Validations, type AppProps } from 'aws-cdk-lib';
import { AwsSolutionsChecks } from 'cdk-nag';

import { ENVIRONMENTS, environment } from '../config/index.ts';
import type { Config } from '../config/schema.ts';
import { EnvironmentStage } from './environment.ts';
import { gatewayReference } from './gateway-reference.ts';
import { acknowledge } from './rules/acknowledgements.ts';
import { GatewayChecks } from './rules/gateway-checks.ts';

/** The feature flags of `cdk.json`: tests and tools that run without the CLI get the same templates. */
export function flags(): Record<string, unknown> {
  const file = JSON.parse(readFileSync(new URL('../cdk.json', import.meta.url), 'utf8')) as { context: Record<string, unknown> };
  return file.context;
}

/** Builds what the context asks for. */
export function createApp(props: AppProps = {}): App {
  // The validation that the library brings is a port of cfn-lint, which the tests run; it takes longer than all the rest.
  const app = new App({ analyticsReporting: false, builtinCloudFormationValidation: false, ...props, context: { ...flags(), ...props.context } });
  const wanted = text(app, 'environment');
  const account = text(app, 'account');
  const chosen = wanted ? [wanted] : Object.keys(ENVIRONMENTS);
  for (const name of chosen) {
    acknowledge(new EnvironmentStage(app, { config: placed(app, environment(name)), account }));
  }
  Validations.of(app).addPlugins(new AwsSolutionsChecks(app), new GatewayChecks(app, gatewayReference()));
  return app;
}

/** Emulators that a test started elsewhere than the configuration says. */
function placed(app: App, config: Config): Config {
  const { emulated, domain } = config;
  if (emulated === undefined) return config;
  const endpoint = text(app, 'endpoint') ?? emulated.endpoint;
  const registry = text(app, 'registry') ?? emulated.registry;
  const zoneId = text(app, 'zone');
  const dns = zoneId && domain.dns.kind === 'hosted-zone' ? { ...domain.dns, zoneId } : domain.dns;
  return { ...config, domain: { ...domain, dns }, emulated: { endpoint, registry } };
}

function text(app: App, key: string): string | undefined {
  const value: unknown = app.node.tryGetContext(key);
  return typeof value === 'string' && value !== '' ? value : undefined;
}
