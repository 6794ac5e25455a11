// The error bodies of Google's APIs, in the shape each API family sends them.

const PROJECT = '123456789012';
const REALM = 'Bearer realm="https://accounts.google.com/"';

/** A refusal of an API. `extra`: reason, domain, location, status (of google.rpc.Code), details, headers. */
export class GoogleError extends Error {
  constructor(code, message, extra = {}) {
    super(message);
    this.code = code;
    this.extra = extra;
  }
}

const STATUS = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  500: 'INTERNAL',
  503: 'UNAVAILABLE',
};

/** The HTTP answer for a `GoogleError`. Docs and Sheets leave the `errors` list out, Drive and Calendar `status`. */
export function errorResponse(error, api) {
  const { reason = 'badRequest', domain = 'global', location, details, headers = {} } = error.extra;
  const item = { message: error.extra.shortMessage ?? error.message, domain, reason };
  if (location) Object.assign(item, { location, locationType: location === 'Authorization' ? 'header' : 'parameter' });
  const body = { code: error.code, message: error.message };
  if (api !== 'docs' && api !== 'sheets') body.errors = [item];
  if (details || (api !== 'drive' && api !== 'calendar')) body.status = error.extra.status ?? STATUS[error.code];
  if (details) body.details = details;
  return jsonResponse(error.code, { error: body }, headers);
}

/** A JSON answer as Google sends it. */
export function jsonResponse(status, value, headers = {}) {
  return {
    status,
    headers: { 'content-type': 'application/json; charset=UTF-8', 'cache-control': 'private', ...headers },
    body: Buffer.from(JSON.stringify(value, null, 2)),
  };
}

const info = (reason, metadata) => ({ '@type': 'type.googleapis.com/google.rpc.ErrorInfo', reason, domain: 'googleapis.com', metadata });

/** A refused query parameter or field mask. */
export function badParameter(name, message, reason = 'invalidParameter') {
  const violation = { '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: [{ field: name, description: message }] };
  return new GoogleError(400, message, { reason, location: name, details: [violation] });
}

/** 401: no bearer (`CREDENTIALS_MISSING`), one we never issued, or one that is over (`ACCESS_TOKEN_EXPIRED`). */
export function unauthenticated(reason, service) {
  const message =
    reason === 'CREDENTIALS_MISSING'
      ? 'Request is missing required authentication credential. Expected OAuth 2 access token, login cookie or other valid authentication credential.'
      : 'Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.';
  return new GoogleError(401, message, {
    reason: reason === 'CREDENTIALS_MISSING' ? 'required' : 'authError',
    shortMessage: reason === 'CREDENTIALS_MISSING' ? 'Login Required.' : 'Invalid Credentials',
    location: 'Authorization',
    details: [info(reason, { service })],
    headers: { 'www-authenticate': reason === 'CREDENTIALS_MISSING' ? REALM : `${REALM}, error="invalid_token"` },
  });
}

/** 403: the token lacks every scope that would do. */
export function insufficientScope(method) {
  return new GoogleError(403, 'Request had insufficient authentication scopes.', {
    reason: 'insufficientPermissions',
    shortMessage: 'Insufficient Permission',
    details: [info('ACCESS_TOKEN_SCOPE_INSUFFICIENT', { service: method.service, method: method.id })],
    headers: { 'www-authenticate': `${REALM}, error="insufficient_scope", scope="${method.scopes.join(' ')}"` },
  });
}

function serviceDisabled({ service }) {
  const url = `https://console.developers.google.com/apis/api/${service}/overview?project=${PROJECT}`;
  const message = `${service} has not been used in project ${PROJECT} before or it is disabled. Enable it by visiting ${url} then retry.`;
  const help = { '@type': 'type.googleapis.com/google.rpc.Help', links: [{ description: 'Google developers console API activation', url }] };
  const disabled = info('SERVICE_DISABLED', { consumer: `projects/${PROJECT}`, service, activationUrl: url });
  return new GoogleError(403, message, { reason: 'accessNotConfigured', domain: 'usageLimits', details: [help, disabled] });
}

function quota(code, { service }) {
  const message =
    code === 403
      ? 'User Rate Limit Exceeded. Rate of requests for user exceed configured project quota.'
      : `Quota exceeded for quota metric 'Queries' and limit 'Queries per minute per user' of service '${service}' for consumer 'project_number:${PROJECT}'.`;
  const details = [info('RATE_LIMIT_EXCEEDED', { consumer: `projects/${PROJECT}`, service, quota_unit: '1/min/{project}/{user}' })];
  return new GoogleError(code, message, { reason: code === 403 ? 'userRateLimitExceeded' : 'rateLimitExceeded', domain: 'usageLimits', details });
}

/** The named faults: what Google itself answers in each case. */
export const NAMED = {
  expired: (method) => unauthenticated('ACCESS_TOKEN_EXPIRED', method.service),
  insufficient_scope: insufficientScope,
  service_disabled: serviceDisabled,
  rate_limit: (method) => quota(403, method),
  too_many_requests: (method) => quota(429, method),
  not_found: () => new GoogleError(404, 'Requested entity was not found.', { reason: 'notFound', status: 'NOT_FOUND' }),
  internal: () => new GoogleError(500, 'Internal error encountered.', { reason: 'backendError', status: 'INTERNAL' }),
  unavailable: () => new GoogleError(503, 'The service is currently unavailable.', { reason: 'backendError', status: 'UNAVAILABLE' }),
};
