// Entry point of `cdk`: `-c environment=staging` for one environment, all of them without it.

import { createApp } from '../lib/app.ts';
import { EnvironmentStage } from '../lib/environment.ts';

const app = createApp();
app.synth();
for (const stage of app.node.children) {
  if (stage instanceof EnvironmentStage) stage.writeDeclared();
}
