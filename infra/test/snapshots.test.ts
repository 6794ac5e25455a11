// The whole of every template, so that a change of the library or of a construct is seen in the diff.
//
// `npx vitest run -u` writes them anew; what is read by a person is the diff.

import { describe, expect, it } from 'vitest';

import { ENVIRONMENTS } from '../config/index.ts';
import { built, resources, type Kind, type Template } from './support/templates.ts';

/** Hashes of files that are uploaded change with every byte of them, and say nothing. */
function masked(template: Template): Template {
  const text = JSON.stringify(template).replaceAll(/[0-9a-f]{64}(?=\.(zip|json)|")/g, '{asset}');
  return JSON.parse(text) as Template;
}

describe.each(Object.keys(ENVIRONMENTS))('%s', (name) => {
  const { templates } = built(name);

  it('is as in its snapshot', async () => {
    const all = Object.fromEntries(Object.entries(templates).map(([kind, template]) => [kind, masked(template)]));
    await expect(`${JSON.stringify(all, null, 1)}\n`).toMatchFileSnapshot(`snapshots/${name}.json`);
  });

  it('uploads no file besides its templates', () => {
    expect(JSON.stringify(templates)).not.toMatch(/cdk-hnb659fds-assets/);
  });
});

/** CloudFormation replaces a resource whose logical id changes: a table would be empty. */
const STATEFUL: readonly (readonly [Kind, string, readonly string[]])[] = [
  ['data', 'AWS::DynamoDB::Table', ['SessionsTableA5E8383B', 'TokensTableFC8D39D1']],
  ['data', 'AWS::KMS::Key', ['MasterKeyB07C9BD3']],
  ['data', 'AWS::SecretsManager::Secret', ['SecretsGoogle0F8437FE', 'SecretsSession34EE1A69']],
  ['data', 'AWS::S3::Bucket', ['TrafficLogsBucketB4D1ED76']],
  ['registry', 'AWS::ECR::Repository', ['ImagesRepository2D0F5B9C']],
  ['service', 'AWS::Logs::LogGroup', ['Logs6819BB44']],
];

describe.each(Object.keys(ENVIRONMENTS))('in %s stateful resources keep their identity:', (name) => {
  const { config, templates } = built(name);

  it.each(STATEFUL)('%s %s', (kind, type, ids) => {
    expect(resources(templates[kind], type).map(([id]) => id).sort()).toEqual(ids);
  });

  it.each(STATEFUL)('and stay when their stack goes, if this is a protected environment: %s %s', (kind, type) => {
    // A table is protected besides, so whoever takes back its creation could not delete it.
    const retained = type === 'AWS::DynamoDB::Table' ? 'Retain' : 'RetainExceptOnCreate';
    const [deletion, replacement] = config.protection.deletion ? [retained, 'Retain'] : ['Delete', 'Delete'];
    for (const [id, { DeletionPolicy, UpdateReplacePolicy }] of resources(templates[kind], type).filter(([id]) => !id.startsWith('PingLogs'))) {
      expect({ id, DeletionPolicy, UpdateReplacePolicy }).toEqual({ id, DeletionPolicy: deletion, UpdateReplacePolicy: replacement });
    }
  });

  it('there are no others', () => {
    const types = new Set(STATEFUL.map(([, type]) => type));
    const known = new Set(STATEFUL.flatMap(([, , ids]) => ids));
    const strangers = Object.values(templates).flatMap((template) =>
      Object.entries(template.Resources).filter(([id, { Type }]) => types.has(Type) && !known.has(id) && !id.startsWith('PingLogs')),
    );
    expect(strangers).toEqual([]);
  });
});
