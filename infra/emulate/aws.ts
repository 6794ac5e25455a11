// A client of AWS APIs, spoken by a Python process with botocore: one call after the other.

import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const PROGRAM = fileURLToPath(new URL('aws.py', import.meta.url));

/** What an API answered; its shape is that of the operation. */
export type Answer = Record<string, unknown>;

/** An error of the API, or of botocore, which checks parameters before it sends them. */
export class AwsError extends Error {
  readonly code: string;

  constructor(code: string, message: string) {
    super(message);
    this.name = 'AwsError';
    this.code = code;
  }
}

/** The variables that make botocore and the CDK CLI speak to an emulator. */
export function emulatorVariables(endpoint: string, key: string): Record<string, string> {
  return {
    AWS_ENDPOINT_URL: endpoint,
    AWS_ACCESS_KEY_ID: key,
    AWS_SECRET_ACCESS_KEY: 'emulated',
    AWS_REGION: 'us-east-1',
    AWS_DEFAULT_REGION: 'us-east-1',
    AWS_EC2_METADATA_DISABLED: 'true',
  };
}

/** One endpoint. */
export class Aws {
  private readonly child: ChildProcess;
  private readonly answers: AsyncIterator<string>;
  private last: Promise<unknown> = Promise.resolve();

  constructor(python: string, variables: Record<string, string>) {
    this.child = spawn(python, [PROGRAM], { env: { ...process.env, ...variables }, stdio: ['pipe', 'pipe', 'inherit'] });
    const { stdout } = this.child;
    if (!stdout) throw new Error('the Python process has no output');
    this.answers = createInterface({ input: stdout })[Symbol.asyncIterator]();
  }

  /** Answers come in the order of the calls. */
  call(service: string, operation: string, parameters: Record<string, unknown> = {}): Promise<Answer> {
    const next = this.last.then(() => this.exchange({ service, operation, parameters }));
    this.last = next.catch(() => undefined);
    return next;
  }

  private async exchange(request: Record<string, unknown>): Promise<Answer> {
    this.child.stdin?.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.answers.next();
    if (done) throw new Error('the Python process ended');
    const answer = JSON.parse(value) as { result?: Answer; code?: string; message?: string };
    if (answer.result === undefined) throw new AwsError(answer.code ?? 'unknown', answer.message ?? '');
    return answer.result;
  }

  /** Ends the process. */
  close(): void {
    this.child.stdin?.end();
  }
}
