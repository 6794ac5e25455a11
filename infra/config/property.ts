// Building blocks of the configuration schema: a property is never without its unit, bounds and reason.

import { z } from 'zod';

/** What a property says about itself besides its type; the generated reference prints it. */
export interface PropertyNotes {
  readonly unit: string;
  readonly reason: string;
}

/** A whole number within bounds. `fallback` undefined: the environment has to say. */
export function count(bounds: [number, number], fallback: number, unit: string, reason: string) {
  return z
    .int(`must be a whole number of ${unit}`)
    .min(bounds[0], `must be ${bounds[0]} ${unit} or more`)
    .max(bounds[1], `must be ${bounds[1]} ${unit} or less`)
    .default(fallback)
    .meta({ unit, reason });
}

/** A duration in whole seconds, the unit of every AWS attribute concerned. */
export function seconds(bounds: [number, number], fallback: number, reason: string) {
  return count(bounds, fallback, 'seconds', reason);
}

/** A switch. */
export function flag(fallback: boolean, reason: string) {
  return z.boolean().default(fallback).meta({ unit: 'yes or no', reason });
}

/** A text that matches `pattern`. */
export function text(pattern: RegExp, unit: string, reason: string) {
  return z.string().regex(pattern, `must be ${unit}`).meta({ unit, reason });
}

/** One of a few words. */
export function choice<const T extends readonly [string, ...string[]]>(
  words: T,
  fallback: T[number],
  reason: string,
) {
  return z
    .enum(words)
    .default(fallback as never)
    .meta({ unit: words.map((word) => `\`${word}\``).join(' or '), reason });
}

/** A list of texts, empty unless the environment says otherwise. */
export function texts(pattern: RegExp, unit: string, reason: string) {
  return z
    .array(z.string().regex(pattern, `must be ${unit}`))
    .default([])
    .meta({ unit: `list of ${unit}`, reason });
}
