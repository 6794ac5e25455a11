// Wall-clock times in a named zone.

/** Whether the IANA name is known. */
export function isZone(zone) {
  try {
    formatter(zone);
    return true;
  } catch {
    return false;
  }
}

const formatters = new Map();
function formatter(zone) {
  if (!formatters.has(zone)) {
    const parts = { year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' };
    formatters.set(zone, new Intl.DateTimeFormat('sv-SE', { timeZone: zone, hourCycle: 'h23', ...parts }));
  }
  return formatters.get(zone);
}

/** The wall clock of an instant: `YYYY-MM-DDTHH:MM:SS`. */
const wall = (ms, zone) => formatter(zone).format(ms).replace(' ', 'T');
const offset = (ms, zone) => Date.parse(`${wall(ms, zone)}Z`) - Math.floor(ms / 1000) * 1000;

/** An instant as RFC 3339 with the zone's offset. */
export function zoned(ms, zone) {
  const minutes = offset(ms, zone) / 60_000;
  if (minutes === 0) return `${wall(ms, zone)}Z`;
  const two = (n) => String(Math.floor(n)).padStart(2, '0');
  return `${wall(ms, zone)}${minutes < 0 ? '-' : '+'}${two(Math.abs(minutes) / 60)}:${two(Math.abs(minutes) % 60)}`;
}

/** The date of an instant in the zone. */
export const localDate = (ms, zone) => wall(ms, zone).slice(0, 10);

/** The instant at which the zone's clocks show `time` (HH:MM) on `date`. */
export function instant(date, time, zone) {
  const asUtc = Date.parse(`${date}T${time}:00Z`);
  const guess = asUtc - offset(asUtc, zone);
  return asUtc - offset(guess, zone);
}

/** The date `days` later. */
export const addDays = (date, days) => new Date(Date.parse(`${date}T00:00:00Z`) + days * 86_400_000).toISOString().slice(0, 10);
