// Saved queries of CloudWatch Logs Insights, for the first minutes of an incident.

import { CfnQueryDefinition } from 'aws-cdk-lib/aws-logs';
import { Construct } from 'constructs';

import type { Names } from '../names.ts';

interface Query {
  readonly name: string;
  readonly lines: readonly string[];
}

/** By name; the words are those that the gateway logs. */
export const QUERIES: readonly Query[] = [
  { name: 'streams opened', lines: ['filter @message like /(?i)stream initiated/', 'stats count(*) as streams by bin(5m)'] },
  { name: 'drains', lines: ['fields @timestamp, @logStream, @message', 'filter @message like /assuming drain/', 'sort @timestamp desc', 'limit 100'] },
  { name: 'errors', lines: ['fields @timestamp, @logStream, @message', 'filter level = "ERROR" or @message like /Error/', 'sort @timestamp desc', 'limit 100'] },
  { name: 'disconnects', lines: ['fields @timestamp, @message', 'filter @message like /(?i)disconnect/', 'sort @timestamp desc', 'limit 200'] },
  { name: 'restarts', lines: ['fields @timestamp, @logStream, @message', 'filter @message like /listening/ or @message like /stopped/', 'sort @timestamp desc', 'limit 50'] },
];

/** One saved query each, in a folder of the environment. */
export class Queries extends Construct {
  constructor(scope: Construct, id: string, props: { readonly names: Names }) {
    super(scope, id);
    for (const query of QUERIES) {
      const words = query.name.split(' ').map((word) => word.charAt(0).toUpperCase() + word.slice(1));
      new CfnQueryDefinition(this, words.join(''), {
        name: `${props.names.prefix}/${query.name}`,
        logGroupNames: [props.names.logGroup],
        queryString: query.lines.join('\n| '),
      });
    }
  }
}
