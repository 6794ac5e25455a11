// The little of AWS that tests prepare: tables and a key, in emulators that check no signature.

async function ask(endpoint, service, target, body) {
  const credential = `Credential=test/20260101/us-east-1/${service}/aws4_request`;
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: {
      'content-type': service === 'dynamodb' ? 'application/x-amz-json-1.0' : 'application/x-amz-json-1.1',
      'x-amz-target': target,
      authorization: `AWS4-HMAC-SHA256 ${credential}, SignedHeaders=host, Signature=0`,
    },
    body: JSON.stringify(body),
  });
  if (!answer.ok) throw new Error(`${target}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

/** Creates a table as the gateway needs it. */
export async function createTable(endpoint, name) {
  await ask(endpoint, 'dynamodb', 'DynamoDB_20120810.CreateTable', {
    TableName: name,
    BillingMode: 'PAY_PER_REQUEST',
    KeySchema: [{ AttributeName: 'pk', KeyType: 'HASH' }],
    AttributeDefinitions: [{ AttributeName: 'pk', AttributeType: 'S' }],
  });
  await ask(endpoint, 'dynamodb', 'DynamoDB_20120810.UpdateTimeToLive', {
    TableName: name,
    TimeToLiveSpecification: { AttributeName: 'expires_at', Enabled: true },
  });
}

/** Creates a KMS key and returns its ARN. */
export async function createKey(endpoint) {
  const { KeyMetadata } = await ask(endpoint, 'kms', 'TrentService.CreateKey', {});
  return KeyMetadata.Arn;
}
