// Runs queries of CloudWatch Logs Insights on lines of a log, because no emulator does: ministack answers every query
// with all lines. It knows the commands that our saved queries use, and refuses what it does not know.

/** What each line of JSON becomes: its fields by name, as Insights discovers them, and the three that AWS adds. */
export function events(lines, stream = 'task') {
  return lines.map((line) => {
    const fields = JSON.parse(line);
    return { ...fields, '@message': line, '@timestamp': Date.parse(fields.timestamp), '@logStream': stream };
  });
}

/** The rows that a query gives. */
export function query(text, rows) {
  return commands(text).reduce((left, command) => run(command, left), rows);
}

/** The rows that a metric filter of JSON counts. */
export function metricFilter(pattern, rows) {
  const [, field, value] = /^\{ \$\.(\w+) = "([^"]*)" \}$/.exec(pattern) ?? refuse(pattern);
  return rows.filter((row) => row[field] === value);
}

/** Between pipes, but for those inside of quotes and regular expressions. */
function commands(text) {
  const parts = text.match(/(?:"[^"]*"|\/(?:\\.|[^/])*\/|[^|"/])+/g) ?? [];
  if (parts.join('|') !== text) refuse(text);
  return parts.map((part) => part.trim());
}

function run(command, rows) {
  const [, verb, rest] = /^(\w+) +(.+)$/.exec(command) ?? refuse(command);
  switch (verb) {
    case 'fields': return rows.map((row) => ({ ...row, shown: rest.split(',').map((name) => shown(row, name.trim())) }));
    case 'filter': return rows.filter(condition(rest));
    case 'sort': return sorted(rest, rows);
    case 'limit': return rows.slice(0, whole(rest));
    case 'stats': return counted(rest, rows);
    default: return refuse(command);
  }
}

/** Insights shows nothing, and says nothing, for a field that no line has. */
function shown(row, name) {
  return name in row ? row[name] : refuse(`the field ${name}`);
}

function condition(text) {
  const tests = text.split(' or ').map((part) => {
    const like = /^(@?\w+) like \/(\(\?i\))?((?:\\.|[^/])+)\/$/.exec(part);
    if (like) {
      const expression = new RegExp(like[3], like[2] ? 'i' : '');
      return (row) => expression.test(row[like[1]] ?? '');
    }
    const [, field, value] = /^(@?\w+) = "([^"]*)"$/.exec(part) ?? refuse(part);
    return (row) => row[field] === value;
  });
  return (row) => tests.some((test) => test(row));
}

function sorted(text, rows) {
  const [, field] = /^(@?\w+) desc$/.exec(text) ?? refuse(text);
  return rows.toSorted((a, b) => b[field] - a[field]);
}

function counted(text, rows) {
  const [, name, minutes] = /^count\(\*\) as (\w+) by bin\((\d+)m\)$/.exec(text) ?? refuse(text);
  const width = minutes * 60_000;
  const bins = new Map();
  for (const row of rows) {
    const begin = Math.floor(row['@timestamp'] / width) * width;
    bins.set(begin, (bins.get(begin) ?? 0) + 1);
  }
  return [...bins].map(([begin, count]) => ({ bin: begin, [name]: count }));
}

function whole(text) {
  return /^\d+$/.test(text) ? Number(text) : refuse(text);
}

function refuse(text) {
  throw new Error(`\`${text}\` is no query that this file knows`);
}
