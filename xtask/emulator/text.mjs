// Word search as Gmail and Drive do it: whole words, in order, without regard to case.

const WORD = '[\\p{L}\\p{N}_]';

/** Whether `text` contains the words of `phrase` next to each other. `prefix`: the last one may go on. */
export function hasWords(text, phrase, { prefix = false } = {}) {
  const words = phrase.toLowerCase().match(/[\p{L}\p{N}_]+/gu);
  if (!words) return text.toLowerCase().includes(phrase.toLowerCase());
  // Chinese and Japanese do not separate words: there any occurrence counts.
  const loose = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(phrase);
  const pattern = words.join('[^\\p{L}\\p{N}_]+');
  const bounded = loose ? pattern : `(?<!${WORD})${pattern}${prefix ? '' : `(?!${WORD})`}`;
  return new RegExp(bounded, 'u').test(text.toLowerCase());
}
