import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NOW, emulator } from './testing.mjs';
import { instant, zoned } from './time.mjs';

const google = await emulator();
const ana = (await google.login('ana@example.com')).access_token;
const at = (days) => new Date(NOW + days * 86_400_000).toISOString();
const list = (options = {}) => google.read(`/calendar/v3/calendars/primary/events?${new URLSearchParams(options)}`, ana);
const titles = async (options) => (await list(options)).items.map(({ summary }) => summary);
const single = { singleEvents: 'true', orderBy: 'startTime' };

test('the next week in order, recurring events as instances', async () => {
  assert.deepEqual(await titles({ ...single, timeMin: at(0), timeMax: at(6) }), ['Budget review', 'Company days', 'Call with Tokyo']);
  assert.deepEqual(await titles({ ...single, timeMin: at(-1), timeMax: at(0) }), ['Weekly stand-up']);
  assert.deepEqual(await titles({ ...single, timeMin: at(-8), timeMax: at(-5) }), ['Weekly stand-up', 'Retrospective']);
});

test('the bounds are exclusive: an event that ends at timeMin or starts at timeMax is not in range', async () => {
  const review = (await list({ q: 'budget' })).items[0];
  const [start, end] = [review.start.dateTime, review.end.dateTime];
  assert.deepEqual(await titles({ q: 'budget', timeMin: end }), []);
  assert.deepEqual(await titles({ q: 'budget', timeMax: start }), []);
  assert.deepEqual(await titles({ q: 'budget', timeMin: start, timeMax: end }), ['Budget review']);
});

test('without singleEvents a recurring event is one item, and its instances have ids of their own', async () => {
  const [master] = (await list({ q: 'stand-up' })).items;
  assert.match(master.recurrence[0], /^RRULE:FREQ=WEEKLY/);
  const { items } = await list({ ...single, q: 'stand-up' });
  assert.equal(items.length, 10);
  assert.ok(items.every((item) => item.recurringEventId === master.id && item.id.startsWith(`${master.id}_`) && !item.recurrence));
  const one = await google.read(`/calendar/v3/calendars/primary/events/${items[4].id}`, ana);
  assert.deepEqual(one, items[4]);
});

test('a weekly event stays at its time of day when the clocks change', async () => {
  const { items } = await list({ ...single, q: 'stand-up' });
  assert.ok(items.every(({ start }) => start.dateTime.slice(11, 19) === '09:15:00'));
  assert.deepEqual([...new Set(items.map(({ start }) => start.dateTime.slice(19)))], ['+01:00', '+02:00']);
});

test('all-day events have dates, timed ones an offset and their zone, in the zone that is asked for', async () => {
  const [days] = (await list({ q: 'company' })).items;
  assert.deepEqual([days.start, days.end], [{ date: '2026-03-27' }, { date: '2026-03-29' }]);
  const [call] = (await list({ q: 'tokyo' })).items;
  assert.equal(call.start.timeZone, 'Asia/Tokyo');
  assert.equal(call.start.dateTime, '2026-03-28T08:30:00+01:00');
  const inTokyo = await list({ q: 'tokyo', timeZone: 'Asia/Tokyo' });
  assert.equal(inTokyo.timeZone, 'Asia/Tokyo');
  assert.equal(inTokyo.items[0].start.dateTime, '2026-03-28T16:30:00+09:00');
});

test('an all-day event belongs to the days of the calendar, not of UTC', async () => {
  const range = { q: 'company', timeMin: '2026-03-26T22:30:00Z', timeMax: '2026-03-26T23:30:00Z' };
  assert.deepEqual(await titles(range), ['Company days']);
  assert.deepEqual(await titles({ ...range, timeZone: 'UTC' }), []);
});

test('cancelled events are shown on request', async () => {
  assert.ok(!(await titles()).includes('Cancelled lunch'));
  const [lunch] = (await list({ showDeleted: 'true', q: 'lunch' })).items;
  assert.equal(lunch.status, 'cancelled');
});

test('attendees come with their answers, and the text is searched in them too', async () => {
  const [review] = (await list({ q: 'carla budget' })).items;
  assert.deepEqual(review.attendees.map(({ email, responseStatus }) => [email, responseStatus]), [['ana@example.com', 'accepted'], ['carla@example.com', 'accepted'], ['dan@example.com', 'declined']]);
});

test('the order by start needs single events, and other nonsense is refused', async () => {
  for (const query of ['orderBy=startTime', 'timeZone=Mars/Base', `timeMin=${at(1)}&timeMax=${at(0)}`, 'iCalUID=x']) {
    assert.equal((await google.refusal(`/calendar/v3/calendars/primary/events?${query}`, ana)).code, 400, query);
  }
  assert.equal((await google.refusal('/calendar/v3/calendars/primary/events?syncToken=x', ana)).code, 410);
  assert.equal((await google.refusal('/calendar/v3/calendars/primary/events/nope', ana)).code, 404);
});

test('the list names both calendars, and each has its events', async () => {
  const { items } = await google.read('/calendar/v3/users/me/calendarList', ana);
  assert.deepEqual(items.map(({ summary, primary, timeZone }) => [summary, primary, timeZone]), [['ana@example.com', true, 'Europe/Zurich'], ['Team', undefined, 'Europe/Zurich']]);
  const team = await google.read(`/calendar/v3/calendars/${encodeURIComponent(items[1].id)}/events`, ana);
  assert.deepEqual(team.items.map(({ summary }) => summary), ['Team planning']);
  assert.equal((await google.read('/calendar/v3/calendars/ana@example.com/events', ana)).summary, 'ana@example.com');
});

test('instants and offsets are right around a change of clocks', () => {
  assert.equal(zoned(instant('2026-03-29', '01:59', 'Europe/Zurich'), 'Europe/Zurich'), '2026-03-29T01:59:00+01:00');
  assert.equal(zoned(instant('2026-03-29', '03:00', 'Europe/Zurich'), 'Europe/Zurich'), '2026-03-29T03:00:00+02:00');
  assert.equal(zoned(instant('2026-06-01', '00:00', 'America/St_Johns'), 'America/St_Johns'), '2026-06-01T00:00:00-02:30');
  assert.equal(zoned(0, 'UTC'), '1970-01-01T00:00:00Z');
});
