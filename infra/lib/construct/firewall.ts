// The web application firewall in front of the load balancer, where an environment wants one.

import { CfnWebACL, CfnWebACLAssociation } from 'aws-cdk-lib/aws-wafv2';
import { Construct } from 'constructs';

/** What differs between environments. */
export interface FirewallProps {
  readonly name: string;
  readonly loadBalancerArn: string;
  readonly requestsPerFiveMinutes: number;
}

/** What MCP clients take as a reason to come back later; a 429 ends the login of some. */
const REFUSAL = { responseCode: 503, responseHeaders: [{ name: 'Retry-After', value: '60' }] };

/**
 * No rule looks into bodies for attacks: tool calls carry code, SQL and paths as their very content. AWS's common
 * rule set, which blocks bodies above 8 KiB as well, and its known bad inputs are left out for that reason.
 */
export class Firewall extends Construct {
  constructor(scope: Construct, id: string, props: FirewallProps) {
    super(scope, id);
    const visibility = (metricName: string) => ({
      cloudWatchMetricsEnabled: true,
      sampledRequestsEnabled: true,
      metricName: `${props.name}-${metricName}`,
    });
    const acl = new CfnWebACL(this, 'Acl', {
      name: props.name,
      scope: 'REGIONAL',
      defaultAction: { allow: {} },
      visibilityConfig: visibility('all'),
      rules: [
        {
          name: 'rate',
          priority: 0,
          action: { block: { customResponse: REFUSAL } },
          statement: { rateBasedStatement: { aggregateKeyType: 'IP', limit: props.requestsPerFiveMinutes } },
          visibilityConfig: visibility('rate'),
        },
        managed('AWSManagedRulesAmazonIpReputationList', 1, visibility('reputation')),
      ],
    });
    new CfnWebACLAssociation(this, 'Association', { resourceArn: props.loadBalancerArn, webAclArn: acl.attrArn });
  }
}

function managed(name: string, priority: number, visibilityConfig: CfnWebACL.VisibilityConfigProperty): CfnWebACL.RuleProperty {
  return {
    name,
    priority,
    overrideAction: { none: {} },
    statement: { managedRuleGroupStatement: { vendorName: 'AWS', name } },
    visibilityConfig,
  };
}
