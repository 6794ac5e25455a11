// The way from the tasks to the store: counts what is asked, and plays a store that throttles, is slow, or is gone.

import { Agent, createServer, request } from 'node:http';

const THROTTLED = JSON.stringify({
  __type: 'com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException',
  message: 'The level of configured provisioned throughput for the table was exceeded.',
});

/** Starts the line to the service at `port`. `asked` counts requests by operation; faults are set as fields. */
export async function startStoreLine(port) {
  const agent = new Agent({ keepAlive: true, maxSockets: 256 });
  const line = {
    /** Share of DynamoDB requests that are answered as throttled. */
    throttled: 0,
    /** What every answer takes longer. */
    delayMs: 0,
    /** Nothing gets through while true. */
    gone: false,
    asked: {},
    get total() { return Object.values(line.asked).reduce((sum, count) => sum + count, 0); },
  };
  const server = createServer((incoming, outgoing) => {
    const operation = incoming.headers['x-amz-target']?.split('.').at(-1) ?? incoming.method;
    line.asked[operation] = (line.asked[operation] ?? 0) + 1;
    if (line.gone) return incoming.socket.destroy();
    const dynamo = incoming.headers['x-amz-target']?.startsWith('DynamoDB');
    setTimeout(() => (dynamo && Math.random() < line.throttled
      ? throttle(incoming, outgoing) : forward(incoming, outgoing, port, agent)), line.delayMs);
  });
  server.keepAliveTimeout = 60_000;
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  line.url = `http://127.0.0.1:${server.address().port}`;
  line.stop = () => {
    agent.destroy();
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  };
  return line;
}

function throttle(incoming, outgoing) {
  incoming.resume();
  outgoing.writeHead(400, { 'content-type': 'application/x-amz-json-1.0' });
  outgoing.end(THROTTLED);
}

function forward(incoming, outgoing, port, agent) {
  const { method, url: path, headers } = incoming;
  const onward = request({ host: '127.0.0.1', port, method, path, headers, agent });
  onward.on('response', (answer) => {
    outgoing.writeHead(answer.statusCode, answer.headers);
    answer.pipe(outgoing);
  });
  onward.on('error', () => outgoing.destroy());
  incoming.pipe(onward);
}
