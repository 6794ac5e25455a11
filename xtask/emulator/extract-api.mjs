// Makes google-api.json, the part of Google's discovery documents that this emulator answers for.
//
//   pip download --no-deps google-api-python-client && unzip *.whl
//   node extract-api.mjs googleapiclient/discovery_cache/documents > google-api.json

import { readFileSync } from 'node:fs';
import { join } from 'node:path';

const WANTED = {
  'calendar.v3': ['calendarList.list', 'events.get', 'events.list'],
  'docs.v1': ['documents.get'],
  'drive.v3': ['files.export', 'files.get', 'files.list'],
  'gmail.v1': ['users.getProfile', 'users.labels.list', 'users.messages.attachments.get', 'users.messages.get', 'users.messages.list'],
  'sheets.v4': ['spreadsheets.get', 'spreadsheets.values.get'],
};
// Google's name of the service in error details, where it is not the host.
const SERVICES = { calendar: 'calendar-json.googleapis.com', drive: 'drive.googleapis.com' };

/** A field's type, as far as a mask can look into it: '' scalar, a schema's name, or {'*': type} for a map. */
function typeOf(api, schema, seen) {
  if (schema.$ref) {
    const name = `${api.name}.${schema.$ref}`;
    if (!seen.has(name)) {
      seen.set(name, {});
      seen.set(name, fieldsOf(api, api.schemas[schema.$ref], seen));
    }
    return name;
  }
  if (schema.type === 'array') return typeOf(api, schema.items, seen);
  if (schema.additionalProperties) return { '*': typeOf(api, schema.additionalProperties, seen) };
  return schema.properties ? fieldsOf(api, schema, seen) : '';
}

function fieldsOf(api, schema, seen) {
  return Object.fromEntries(Object.entries(schema.properties ?? {}).map(([k, v]) => [k, typeOf(api, v, seen)]));
}

function parameter({ type, format, enum: values, minimum, maximum, repeated }) {
  const kept = { type: format === 'date-time' ? format : type, values, repeated };
  if (type === 'integer' && minimum !== undefined) kept.min = Number(minimum);
  if (type === 'integer' && maximum !== undefined) kept.max = Number(maximum);
  return kept;
}

function methodOf(api, id, seen) {
  const [name, ...groups] = id.split('.').reverse();
  const method = groups.reverse().reduce((node, group) => node.resources[group], api).methods[name];
  const query = Object.entries(method.parameters ?? {}).filter(([, p]) => p.location === 'query');
  return {
    api: api.name,
    service: SERVICES[api.name] ?? new URL(api.rootUrl).host,
    httpMethod: method.httpMethod,
    path: `/${api.servicePath}${method.flatPath ?? method.path}`,
    scopes: method.scopes,
    media: method.supportsMediaDownload,
    response: method.response && typeOf(api, method.response, seen),
    query: Object.fromEntries(query.map(([k, v]) => [k, parameter(v)])),
  };
}

const directory = process.argv[2];
const methods = {};
const schemas = new Map();
const system = new Set();
for (const [file, ids] of Object.entries(WANTED)) {
  const api = JSON.parse(readFileSync(join(directory, `${file}.json`), 'utf8'));
  for (const name of Object.keys(api.parameters)) system.add(name);
  for (const id of ids) methods[`${api.name}.${id}`] = methodOf(api, id, schemas);
}
const lines = (object) =>
  Object.entries(object).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => `    ${JSON.stringify(k)}: ${JSON.stringify(v)}`).join(',\n');
process.stdout.write(`{
  "system": ${JSON.stringify([...system].sort())},
  "methods": {\n${lines(methods)}\n  },
  "schemas": {\n${lines(Object.fromEntries(schemas))}\n  }
}\n`);
