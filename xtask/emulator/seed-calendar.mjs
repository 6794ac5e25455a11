// A person's calendars: their own, and a second one that they share with a team.

import { addDays, instant, localDate } from './time.mjs';

const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const WEEKS = 10;

/** An event on the day `days` from now at `time`, of `hours`, by the clocks of `zone`. */
function timed(o, { name, days, time, hours = 1, zone = o.timeZone, ...rest }) {
  const at = instant(addDays(localDate(o.now, zone), days), time, zone);
  return { ...base(o, name, rest), timeZone: zone, start: { at }, end: { at: at + hours * HOUR } };
}

function allDay(o, { name, days, length = 1, ...rest }) {
  const date = addDays(localDate(o.now, o.timeZone), days);
  return { ...base(o, name, rest), start: { date }, end: { date: addDays(date, length) }, transparency: 'transparent' };
}

function base(o, name, { summary, description, ...rest }) {
  const at = o.now - 30 * DAY;
  return { id: o.eventId(name), status: 'confirmed', summary, description: `${description ?? summary} ${o.mark(`event-${name}`)}`, created: at, updated: at, ...rest };
}

/** A weekly event by the clocks of its zone, with the instances that singleEvents=true shows. */
function weekly(o, options) {
  const first = timed(o, { ...options, days: -14 });
  const zone = first.timeZone;
  const date = localDate(first.start.at, zone);
  const instances = Array.from({ length: WEEKS }, (_, week) => {
    const at = instant(addDays(date, 7 * week), options.time, zone);
    const stamp = new Date(at).toISOString().replace(/[-:]|\.000/g, '');
    return { ...first, id: `${first.id}_${stamp}`, start: { at }, end: { at: at + (first.end.at - first.start.at) }, recurringEventId: first.id, originalStart: { at } };
  });
  return { ...first, recurrence: [`RRULE:FREQ=WEEKLY;COUNT=${WEEKS}`], instances };
}

const guest = (email, responseStatus, rest = {}) => ({ email, responseStatus, ...rest });

function events(o) {
  const me = guest(o.email, 'accepted', { displayName: o.name, self: true });
  const few = [
    timed(o, { name: 'review', days: 1, time: '10:00', summary: 'Budget review', location: 'Room 4.02', attendees: [me, guest('carla@example.com', 'accepted', { displayName: 'Carla Corder', organizer: true }), guest('dan@example.com', 'declined')] }),
    allDay(o, { name: 'holiday', days: 2, length: 2, summary: 'Company days' }),
  ];
  if (o.small) return few;
  const call = { conferenceId: 'abc-defg-hij', conferenceSolution: { key: { type: 'hangoutsMeet' }, name: 'Google Meet' }, entryPoints: [{ entryPointType: 'video', uri: 'https://meet.example.com/abc-defg-hij', label: 'meet.example.com/abc-defg-hij' }] };
  return [
    ...few,
    weekly(o, { name: 'standup', time: '09:15', hours: 0.25, summary: 'Weekly stand-up', attendees: [me, guest('carla@example.com', 'needsAction')] }),
    timed(o, { name: 'call', days: 3, time: '16:30', hours: 1.5, zone: 'Asia/Tokyo', summary: 'Call with Tokyo', hangoutLink: 'https://meet.example.com/abc-defg-hij', conferenceData: call }),
    timed(o, { name: 'past', days: -7, time: '14:00', summary: 'Retrospective' }),
    timed(o, { name: 'cancelled', days: 1, time: '12:00', summary: 'Cancelled lunch', status: 'cancelled' }),
  ];
}

/** The calendars of a person with their events. */
export function calendarsOf(o) {
  const common = { timeZone: o.timeZone, updated: o.now - 30 * DAY };
  const team = timed(o, { name: 'team', days: 4, time: '11:00', summary: 'Team planning' });
  return [
    { id: o.email, summary: o.email, events: events(o), ...common },
    { id: `c_${o.hexId('team')}@group.calendar.example.com`, summary: 'Team', events: [team], ...common },
  ];
}
