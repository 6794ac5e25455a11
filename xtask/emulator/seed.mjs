// The people of the emulator and what they own. The same start time gives the same world.

import { createHash } from 'node:crypto';
import { calendarsOf } from './seed-calendar.mjs';
import { driveOf } from './seed-drive.mjs';
import { mailOf } from './seed-mail.mjs';

const PEOPLE = [
  { email: 'ana@example.com', name: 'Ana Aldana', timeZone: 'Europe/Zurich' },
  { email: 'ben@example.com', name: 'Ben Baxter', timeZone: 'America/New_York' },
  { email: 'eve@example.org', name: 'Eve Ericson', timeZone: 'Asia/Tokyo' },
  // A consumer account: it belongs to no Workspace domain, so its ID tokens carry no `hd`.
  { email: 'zoe@example.net', name: 'Zoe Zimmer', timeZone: 'UTC', consumer: true },
];

const hash = (...parts) => createHash('sha256').update(parts.join('|'));

/** Makes a person's things: ids that look like Google's, the canary, and times relative to the start. */
function owner({ email, name, timeZone, consumer = false, small = false }, now) {
  const [user, domain] = email.split('@');
  const canary = `canary-${user}-${hash('canary', email).digest('hex').slice(0, 10)}`;
  return {
    email,
    name,
    timeZone,
    small,
    now,
    hd: consumer ? undefined : domain,
    canary,
    /** A marker that belongs to one thing of this person. */
    mark: (thing) => `${canary}.${thing}`,
    hexId: (thing) => hash(email, thing).digest('hex').slice(0, 16),
    fileId: (thing) => `1${hash(email, thing).digest('base64url')}`,
    eventId: (thing) => BigInt(`0x${hash(email, thing).digest('hex')}`).toString(32).slice(0, 26),
  };
}

/** The world: people and their mail, calendars and drives; `emulate` is the part that emulate keeps. */
export function seed({ now, testUsers }) {
  const start = Math.floor(now / 3_600_000) * 3_600_000;
  const width = Math.max(2, String(testUsers).length);
  const more = Array.from({ length: testUsers }, (_, i) => {
    const user = `t${String(i + 1).padStart(width, '0')}`;
    return { email: `${user}@example.com`, name: `Test ${user}`, timeZone: 'UTC', small: true };
  });
  const owners = [...PEOPLE, ...more].map((person) => owner(person, start));
  const bearers = new Map(owners.map(({ email }) => [email, `inner-${hash('bearer', email).digest('hex')}`]));
  const calendars = new Map(owners.map((o) => [o.email, calendarsOf(o)]));
  return {
    people: new Map(owners.map(({ email, name, hd }) => [email, { name, hd }])),
    users: owners.filter(({ hd }) => hd).map(({ email, hd, canary }) => ({ email, domain: hd, canary })),
    bearers,
    calendars,
    drives: new Map(owners.map((o) => [o.email, driveOf(o)])),
    emulate: {
      tokens: Object.fromEntries(owners.map(({ email }) => [bearers.get(email), { login: email }])),
      google: {
        users: owners.map(({ email, name, hd }) => ({ email, name, hd: hd ?? '' })),
        messages: owners.flatMap(mailOf),
        calendars: owners.flatMap(({ email }) =>
          calendars.get(email).map(({ id, summary, timeZone }) => ({ id, user_email: email, summary, time_zone: timeZone, primary: id === email }))),
      },
    },
  };
}
