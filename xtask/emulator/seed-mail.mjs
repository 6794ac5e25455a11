// A mailbox, as raw mails: plain, alternative, old charsets, an attachment, a long one, a thread, trash.

const HOUR = 3_600_000;
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
// "会議の資料を確認してください。" in ISO-2022-JP.
const JAPANESE = Buffer.from('GyRCMnE1RCROO3FOQSRyM05HJyQ3JEYkLyRAJDUkJCEjGyhC', 'base64').toString('latin1');

const quoted = (text, encoding) =>
  [...Buffer.from(text, encoding)].map((b) => (b === 10 || (b > 31 && b < 127 && b !== 61) ? String.fromCharCode(b) : `=${b.toString(16).toUpperCase().padStart(2, '0')}`)).join('');

function longText(mark) {
  const line = (i) => `Line ${String(i).padStart(4, '0')} of a long report, written to be cut somewhere in the middle.`;
  const body = Array.from({ length: 860 }, (_, i) => line(i + 1)).join('\n');
  return `${mark('mail-long-head')}\n${body}\nThe last words are ${mark('mail-long-tail')}.\n`;
}

const plain = (text, charset = 'utf-8', encoding = '8bit') => [`Content-Type: text/plain; charset=${charset}`, `Content-Transfer-Encoding: ${encoding}`, '', text];

function alternative({ mark }) {
  return [
    'Content-Type: multipart/alternative; boundary="alt"', '',
    '--alt', ...plain(`The quarterly numbers are in. ${mark('mail-alternative')}\nSmile: 😀`),
    '--alt', 'Content-Type: text/html; charset=utf-8', 'Content-Transfer-Encoding: 8bit', '',
    `<html><head><style>p{color:red}</style></head><body><p>The <b>quarterly numbers</b> are in. ${mark('mail-alternative-html')}</p><a href="https://example.com/report?a=1&amp;b=2">Report</a><script>alert(1)</script></body></html>`,
    '--alt--',
  ];
}

function attached({ mark }) {
  return [
    'Content-Type: multipart/mixed; boundary="mix"', '',
    '--mix', ...plain(`The picture is attached. ${mark('mail-attachment')}`),
    '--mix', 'Content-Type: image/png; name="chart.png"', 'Content-Disposition: attachment; filename="chart.png"', 'Content-Transfer-Encoding: base64', '', PNG,
    '--mix', 'Content-Type: text/csv; charset=utf-8; name="figures.csv"', 'Content-Disposition: attachment; filename="figures.csv"', 'Content-Transfer-Encoding: base64', '',
    Buffer.from(`quarter,figure\nQ1,${mark('mail-attachment-csv')}\n`).toString('base64'),
    '--mix--',
  ];
}

/** name, age in hours, labels, from, subject, MIME lines, snippet, and the thread it belongs to. */
function letters(o) {
  const { mark, email } = o;
  const boss = 'Carla Corder <carla@example.com>';
  const few = [
    { name: 'plain', age: 2, labels: ['INBOX', 'UNREAD', 'IMPORTANT'], from: boss, subject: 'Lunch on Friday', body: plain(`Shall we have lunch on Friday? ${mark('mail-plain')}`), snippet: 'Shall we have lunch on Friday?' },
    { name: 'alternative', age: 5, labels: ['INBOX', 'STARRED'], from: 'Finance <finance@example.com>', subject: 'Quarterly numbers', body: alternative(o), snippet: 'The quarterly numbers are in.' },
    { name: 'attachment', age: 26, labels: ['INBOX'], from: boss, subject: 'Chart for the board', body: attached(o), snippet: 'The picture is attached.' },
  ];
  if (o.small) return few;
  return [
    ...few,
    { name: 'latin1', age: 30, labels: ['INBOX', 'UNREAD'], from: '=?ISO-8859-1?Q?J=FCrg_M=FCller?= <jurg@example.com>', subject: '=?ISO-8859-1?Q?Gr=FC=DFe_aus_Z=FCrich?=', body: plain(quoted(`Schöne Grüße aus Zürich, à bientôt. ${mark('mail-latin1')}`, 'latin1'), 'ISO-8859-1', 'quoted-printable'), snippet: 'Schöne Grüße aus Zürich, à bientôt.' },
    { name: 'japanese', age: 49, labels: ['INBOX'], from: 'Kenji <kenji@example.com>', subject: '=?ISO-2022-JP?B?GyRCMnE1RCROJCpDTiRpJDsbKEI=?=', body: plain(`${JAPANESE} ${mark('mail-japanese')}`, 'ISO-2022-JP', '7bit'), snippet: '会議の資料を確認してください。' },
    { name: 'long', age: 72, labels: ['INBOX', 'CATEGORY_UPDATES'], from: 'Reports <reports@example.com>', subject: 'The long report', body: plain(longText(mark)), snippet: 'A long report' },
    { name: 'thread-1', thread: 'thread', age: 100, labels: ['INBOX'], from: boss, subject: 'Project kick-off', body: plain(`Can you start on Monday? ${mark('mail-thread-1')}`), snippet: 'Can you start on Monday?' },
    { name: 'thread-2', thread: 'thread', age: 98, labels: ['SENT'], from: `${o.name} <${email}>`, to: boss, subject: 'Re: Project kick-off', reply: 'thread-1', body: plain(`Yes, Monday it is. ${mark('mail-thread-2')}`), snippet: 'Yes, Monday it is.' },
    { name: 'thread-3', thread: 'thread', age: 97, labels: ['INBOX', 'UNREAD'], from: boss, subject: 'Re: Project kick-off', reply: 'thread-2', body: plain(`Great, see you then. ${mark('mail-thread-3')}`), snippet: 'Great, see you then.' },
    { name: 'trash', age: 200, labels: ['TRASH'], from: 'Shop <shop@example.net>', subject: 'Sale', body: plain(`Everything must go. ${mark('mail-trash')}`), snippet: 'Everything must go.' },
  ];
}

/** The mails of a person, as emulate's seed wants them. */
export function mailOf(o) {
  return letters(o).map(({ name, thread = name, age, labels, from, to = `${o.name} <${o.email}>`, subject, reply, body, snippet }) => {
    const at = o.now - age * HOUR;
    const head = [
      `From: ${from}`,
      `To: ${to}`,
      `Subject: ${subject}`,
      `Date: ${new Date(at).toUTCString().replace('GMT', '+0000')}`,
      `Message-ID: <${o.hexId(name)}@mail.example.com>`,
      ...(reply ? [`In-Reply-To: <${o.hexId(reply)}@mail.example.com>`, `References: <${o.hexId(reply)}@mail.example.com>`] : []),
      'MIME-Version: 1.0',
    ];
    return {
      id: o.hexId(name),
      thread_id: o.hexId(letters(o).find((l) => (l.thread ?? l.name) === thread).name),
      user_email: o.email,
      raw: Buffer.from([...head, ...body].join('\r\n')).toString('base64url'),
      from,
      to,
      subject,
      snippet,
      label_ids: labels,
      internal_date: String(at),
    };
  });
}
