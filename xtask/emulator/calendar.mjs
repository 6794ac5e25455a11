// Calendar: events by time range, single or recurring, in any time zone. emulate only lists the calendars.

import { GoogleError, badParameter } from './errors.mjs';
import { page } from './paging.mjs';
import { instant, isZone, zoned } from './time.mjs';

const NOT_EMULATED = ['eventTypes', 'iCalUID', 'privateExtendedProperty', 'sharedExtendedProperty', 'updatedMin'];
const notFound = () => new GoogleError(404, 'Not Found', { reason: 'notFound' });

/** The handlers of Calendar's methods. */
export function calendarApi(inner, world) {
  const calendarOf = ({ email, params }) => {
    const id = params.calendarId === 'primary' ? email : params.calendarId;
    const calendar = world.calendars.get(email)?.find((c) => c.id === id);
    if (!calendar) throw notFound();
    return calendar;
  };
  return {
    'calendar.events.list': (call) => ({ json: list(calendarOf(call), call.query) }),
    'calendar.events.get': (call) => ({ json: get(calendarOf(call), call) }),
    'calendar.calendarList.list': async ({ email }) => {
      const answer = await inner.request('GET', '/calendar/v3/users/me/calendarList', { bearer: world.bearers.get(email) });
      return { json: answer.json() };
    },
  };
}

function zoneFor(calendar, query) {
  const zone = query.get('timeZone') ?? calendar.timeZone;
  if (!isZone(zone)) throw badParameter('timeZone', `Invalid time zone: ${zone}`, 'invalid');
  return zone;
}

function list(calendar, query) {
  const zone = zoneFor(calendar, query);
  const unknown = NOT_EMULATED.find((name) => query.has(name));
  if (unknown) throw badParameter(unknown, `The emulator does not implement ${unknown}.`);
  if (query.has('syncToken')) throw new GoogleError(410, 'Sync token is no longer valid, a full sync is required.', { reason: 'fullSyncRequired' });
  const single = query.get('singleEvents') === 'true';
  const order = query.get('orderBy');
  if (order === 'startTime' && !single) throw badParameter('orderBy', 'The requested ordering is not available for the particular query.', 'badRequest');
  const [min, max] = ['timeMin', 'timeMax'].map((name) => (query.has(name) ? Date.parse(query.get(name)) : undefined));
  if (min >= max) throw badParameter('timeMin', 'The specified time range is empty.', 'timeRangeEmpty');
  const found = calendar.events
    .filter((event) => query.get('showDeleted') === 'true' || event.status !== 'cancelled')
    .flatMap((event) => select(event, { single, min, max, zone }))
    .filter((event) => matches(event, query.get('q')));
  found.sort(ORDERS[order] ?? ORDERS.none);
  const size = Math.min(Number(query.get('maxResults') ?? 250), 2500);
  const { items, next } = page(found, size, query.get('pageToken'), [...['q', 'timeMin', 'timeMax', 'singleEvents', 'orderBy', 'showDeleted'].map((name) => query.get(name)), calendar.id]);
  return {
    kind: 'calendar#events',
    etag: `"${calendar.id}"`,
    summary: calendar.summary,
    updated: new Date(calendar.updated).toISOString(),
    timeZone: zone,
    accessRole: 'owner',
    defaultReminders: [{ method: 'popup', minutes: 10 }],
    nextPageToken: next,
    nextSyncToken: next ? undefined : Buffer.from(calendar.id).toString('base64url'),
    items: items.map((event) => resource(event, calendar, zone)),
  };
}

// Without an order Google promises none; by id shows who depends on one.
const ORDERS = {
  startTime: (a, b) => startOf(a, 'UTC') - startOf(b, 'UTC') || (a.id < b.id ? -1 : 1),
  updated: (a, b) => a.updated - b.updated || (a.id < b.id ? -1 : 1),
  none: (a, b) => (a.id < b.id ? -1 : 1),
};

const startOf = (event, zone) => event.start.at ?? instant(event.start.date, '00:00', zone);
const endOf = (event, zone) => event.end.at ?? instant(event.end.date, '00:00', zone);

/** The event itself or, of a recurring one, the instances within the range (bounds exclusive). */
function select(event, { single, min = -Infinity, max = Infinity, zone }) {
  const within = (e) => endOf(e, zone) > min && startOf(e, zone) < max;
  const instances = event.instances ?? [event];
  if (single) return instances.filter(within);
  return instances.some(within) ? [event] : [];
}

function matches(event, q) {
  if (!q) return true;
  const people = (event.attendees ?? []).flatMap(({ email, displayName }) => [email, displayName]);
  const text = [event.summary, event.description, event.location, ...people].filter(Boolean).join('\n').toLowerCase();
  return q.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

function get(calendar, { params, query }) {
  const zone = zoneFor(calendar, query);
  const event = calendar.events.flatMap((e) => [e, ...(e.instances ?? [])]).find(({ id }) => id === params.eventId);
  if (!event) throw notFound();
  return resource(event, calendar, zone);
}

function resource(event, calendar, zone) {
  const { instances, start, end, created, updated, timeZone, originalStart, ...rest } = event;
  const moment = ({ at, date }) => (date ? { date } : { dateTime: zoned(at, zone), timeZone });
  const owner = { email: calendar.id, displayName: calendar.summary, self: true };
  return {
    kind: 'calendar#event',
    etag: `"${updated}"`,
    id: event.id,
    status: event.status,
    htmlLink: `https://www.google.com/calendar/event?eid=${Buffer.from(`${event.id} ${calendar.id}`).toString('base64url')}`,
    created: new Date(created).toISOString(),
    updated: new Date(updated).toISOString(),
    creator: owner,
    organizer: owner,
    start: moment(start),
    end: moment(end),
    originalStartTime: originalStart && moment(originalStart),
    iCalUID: `${event.recurringEventId ?? event.id}@google.com`,
    sequence: 0,
    reminders: { useDefault: true },
    eventType: 'default',
    ...rest,
  };
}
