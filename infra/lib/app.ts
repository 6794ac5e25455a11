// Wires environments into an app.

import { readFileSync } from 'node:fs';

import { App, type AppProps } from 'aws-cdk-lib';

import { ENVIRONMENTS, environment } from '../config/index.ts';
import { EnvironmentStage } from './environment.ts';

/** The feature flags of `cdk.json`: tests and tools that run without the CLI get the same templates. */
export function flags(): Record<string, unknown> {
  const file = JSON.parse(readFileSync(new URL('../cdk.json', import.meta.url), 'utf8')) as { context: Record<string, unknown> };
  return file.context;
}

/** Builds what the context asks for. */
export function createApp(props: AppProps = {}): App {
  const app = new App({ analyticsReporting: false, ...props, context: { ...flags(), ...props.context } });
  const wanted: unknown = app.node.tryGetContext('environment');
  const account: unknown = app.node.tryGetContext('account');
  const chosen = typeof wanted === 'string' ? [wanted] : Object.keys(ENVIRONMENTS);
  for (const name of chosen) {
    new EnvironmentStage(app, { config: environment(name), account: typeof account === 'string' ? account : undefined });
  }
  return app;
}
