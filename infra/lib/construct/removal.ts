// What becomes of state when its stack is changed, is taken back, or goes.

import { RemovalPolicy } from 'aws-cdk-lib';

/**
 * What is retained stays whatever happens to its stack, with one exception: when the very operation that made it is
 * taken back. It is empty then, and would be in the way of the next attempt by its name.
 */
export function removalPolicy(retain: boolean): RemovalPolicy {
  return retain ? RemovalPolicy.RETAIN_ON_UPDATE_OR_DELETE : RemovalPolicy.DESTROY;
}
