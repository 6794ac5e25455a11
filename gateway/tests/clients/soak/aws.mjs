// DynamoDB and KMS for the stage: ministack, with the tables and the key that infrastructure would have made.

import { start, freePort, stop, until } from '../support/processes.mjs';

const REGION = 'us-east-1';

/** Where ministack's Python is; `cargo xtask` installs it and says so. */
export function python() {
  const path = process.env.MINISTACK_PYTHON;
  if (!path) throw new Error('`MINISTACK_PYTHON` is not set\n\nhint: run `cargo xtask soak`, which installs ministack');
  return path;
}

/** One request of an AWS JSON protocol. Nobody checks the signature; its scope names the service. */
async function request(endpoint, service, target, version, body) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': `application/x-amz-json-${version}`,
      'x-amz-target': target,
      authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/${service}/aws4_request, `
        + 'SignedHeaders=host, Signature=0',
    },
    body: JSON.stringify(body),
  });
  const answer = await response.json();
  if (!response.ok) throw new Error(`${target}: ${response.status} ${JSON.stringify(answer)}`);
  return answer;
}

/** Starts the services; `env` is what a gateway needs to find them. */
export async function startAws() {
  const port = await freePort();
  const child = start(python(), ['-m', 'ministack'], {
    env: {
      PATH: process.env.PATH,
      BIND_HOST: '127.0.0.1',
      MINISTACK_HOST: '127.0.0.1',
      MINISTACK_ACCOUNT_ID: '123456789012',
      GATEWAY_PORT: String(port),
    },
  });
  const endpoint = `http://127.0.0.1:${port}`;
  await until('ministack', async () => (await fetch(`${endpoint}/_ministack/health`)).ok, [child], 60_000);
  const tables = { SESSIONS_TABLE: 'mcp-gateway-sessions', TOKENS_TABLE: 'mcp-gateway-tokens' };
  for (const name of Object.values(tables)) {
    await request(endpoint, 'dynamodb', 'DynamoDB_20120810.CreateTable', '1.0', {
      TableName: name,
      AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
      KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
      BillingMode: 'PAY_PER_REQUEST',
    });
  }
  const { KeyMetadata: key } = await request(endpoint, 'kms', 'TrentService.CreateKey', '1.1', {});
  return {
    port,
    child,
    env: {
      STORE: 'dynamodb',
      DYNAMODB_ENDPOINT: endpoint,
      KMS_ENDPOINT: endpoint,
      KMS_KEY_ARN: key.Arn,
      ...tables,
      AWS_REGION: REGION,
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_EC2_METADATA_DISABLED: 'true',
    },
    stop: () => stop(child),
  };
}
