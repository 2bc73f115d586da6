import { createHash } from 'node:crypto';
import { expect } from 'vitest';
import type { ClientView } from './raw-exchange.ts';
import type { Field, Message } from './wire.ts';

/*
 * The one place that says how an exchange through the gateway may differ from the same exchange without it. What is
 * not named here must be equal to the byte, in order, case and multiplicity.
 */

/** Belongs to one connection (RFC 9110 §7.6.1), as does what Connection nominates. Never seen behind the gateway. */
const HOP_BY_HOP = /^(?:connection|keep-alive|trailer|upgrade|http2-settings|proxy-.*)$/;

/** Of TE only `trailers` may go on, because only trailers do. */
const TE = 'te';

/** Answered by the gateway, or addressed to it. */
const GATEWAYS_OWN = /^(?:expect|x-sluice-model)$/;

/** Added for the client's connection; the body's framing may change where the upstream had none. */
const ADDED_TO_RESPONSE = /^(?:connection|keep-alive|transfer-encoding)$/;

/** Always the gateway's own, one of it. */
const REQUEST_ID = 'x-sluice-request-id';

/** Frames a message, so it has no place among trailers (RFC 9110 §6.5.1). */
const NO_TRAILER = /^(?:host|content-length|transfer-encoding|te)$/;

/** RFC 9110 §6.6.1: a response that comes without one gets one; a switch of protocols needs none. */
const ADDED_WHERE_ABSENT = 'date';

/** What is compared of a message; bodies by their digest, so that a difference can be printed. */
export interface View {
  readonly start: string;
  readonly fields: readonly Field[];
  readonly framing: Message['framing'];
  readonly body: { readonly length: number; readonly sha256: string; readonly beginsWith: string };
  readonly trailers: readonly Field[];
}

export interface ResponseView {
  readonly interim: readonly View[];
  readonly response: View;
}

/** What the upstream must receive through the gateway, from what it received directly. */
export function expectedRequest(direct: Message): View {
  const nominated = nominees(direct.fields);
  return {
    ...view(direct),
    // A 1.0 client's request goes on in the gateway's own version.
    start: direct.start.replace(/HTTP\/1\.0$/, 'HTTP/1.1'),
    fields: direct.fields.flatMap((field): Field[] => {
      const [name, value] = [field[0].toLowerCase(), field[1]];
      if (name === TE) return /\btrailers\b/i.test(value) ? [[field[0], 'trailers']] : [];
      return HOP_BY_HOP.test(name) || GATEWAYS_OWN.test(name) || nominated.has(name) ? [] : [field];
    }),
    trailers: expectedTrailers(direct),
  };
}

/** Of a websocket handshake Connection and Upgrade go on, in the gateway's own words. */
const SWITCHING: readonly Field[] = [
  ['Connection', 'Upgrade'],
  ['Upgrade', 'websocket'],
];

/** What the upstream must receive of a websocket handshake, from what it received directly. */
export function expectedHandshake(direct: Message): View {
  const expected = expectedRequest(direct);
  return { ...expected, fields: [...expected.fields, ...SWITCHING] };
}

/** What the upstream received of a handshake through the gateway, the switch behind the rest. */
export function actualHandshake(message: Message): View {
  const switches = ([name]: Field): boolean => /^(?:connection|upgrade)$/i.test(name);
  const seen = view(message);
  return {
    ...seen,
    fields: [...seen.fields.filter((field) => !switches(field)), ...seen.fields.filter(switches)],
  };
}

/** What the upstream received through the gateway: all of it counts. */
export function actualRequest(message: Message): View {
  return view(message);
}

/** What a client must get through the gateway, from what it got directly. */
export function expectedResponse({ interim, response }: ClientView): ResponseView {
  const nominated = nominees(response.fields);
  const fields = response.fields.filter(([raw]) => {
    const name = raw.toLowerCase();
    if (name === REQUEST_ID) return false;
    return (
      isSwitch(response) || !(HOP_BY_HOP.test(name) || name === 'transfer-encoding' || nominated.has(name))
    );
  });
  return {
    interim: interim.map(view),
    response: {
      ...view(response),
      start: response.start.replace(/^HTTP\/1\.0/, 'HTTP/1.1').replace(/^(HTTP\/1\.1 [0-9]{3})$/, '$1 '),
      framing: response.framing === 'close' ? 'chunked' : response.framing,
      fields,
      trailers: expectedTrailers(response),
    },
  };
}

/** What a client got through the gateway, without what may have been added. `expected` tells what was there. */
export function actualResponse({ interim, response }: ClientView, expected: ResponseView): ResponseView {
  const ids = response.fields.filter(([name]) => name.toLowerCase() === REQUEST_ID);
  expect(ids, 'one request id').toEqual([[REQUEST_ID, expect.stringMatching(/^[\w-]{6,}$/)]]);
  const hadDate = expected.response.fields.some(([name]) => name.toLowerCase() === ADDED_WHERE_ABSENT);
  const dates = response.fields.filter(([name]) => name.toLowerCase() === ADDED_WHERE_ABSENT);
  if (!hadDate) expect(dates, 'a Date').toHaveLength(isSwitch(response) ? 0 : 1);
  const fields = response.fields.filter(([raw]) => {
    const name = raw.toLowerCase();
    return (
      name !== REQUEST_ID &&
      (isSwitch(response) || !ADDED_TO_RESPONSE.test(name)) &&
      (hadDate || name !== ADDED_WHERE_ABSENT)
    );
  });
  return { interim: interim.map(view), response: { ...view(response), fields } };
}

/**
 * HTTP/2 has neither reason phrases nor upper-case names, nor an order between fields of different names
 * (RFC 9113 §8.2, §8.3.1); its framing is its own.
 */
export function asHttp2(seen: View): View {
  return {
    ...seen,
    start: seen.start.replace(/^HTTP\/1\.1 ([0-9]{3}).*$/, '$1'),
    fields: byName(seen.fields),
    framing: 'none',
    trailers: byName(seen.trailers),
  };
}

/** Several Cookie lines are one behind HTTP/2, where clients cut cookies into crumbs (RFC 9113 §8.2.3). */
export function withOneCookie(seen: View): View {
  const cookies = seen.fields.filter(([name]) => name.toLowerCase() === 'cookie').map(([, value]) => value);
  if (cookies.length < 2) return seen;
  const others = seen.fields.filter(([name]) => name.toLowerCase() !== 'cookie');
  return { ...seen, fields: [...others, ['cookie', cookies.join('; ')]] };
}

function byName(fields: readonly Field[]): readonly Field[] {
  return fields
    .map(([name, value]): Field => [name.toLowerCase(), value])
    .toSorted(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function expectedTrailers({ trailers }: Message): readonly Field[] {
  return trailers.filter(([raw]) => {
    const name = raw.toLowerCase();
    return !HOP_BY_HOP.test(name) && !NO_TRAILER.test(name);
  });
}

/** A 101: its Connection and Upgrade are the client's as much as the gateway's. */
function isSwitch({ start }: Message): boolean {
  return start.startsWith('HTTP/1.1 101');
}

function nominees(fields: readonly Field[]): ReadonlySet<string> {
  const values = fields.filter(([name]) => name.toLowerCase() === 'connection').map(([, value]) => value);
  // A client can't take away what frames the body or says whom it is for (CVE-2024-45410).
  const kept = new Set(['host', 'content-length', 'content-type', 'te']);
  const names = values.flatMap((value) => value.split(',').map((name) => name.trim().toLowerCase()));
  return new Set(names.filter((name) => !kept.has(name)));
}

function view({ start, fields, framing, body, trailers }: Message): View {
  const sha256 = createHash('sha256').update(body).digest('hex');
  return {
    start,
    fields,
    framing,
    body: { length: body.length, sha256, beginsWith: body.toString('latin1', 0, 400) },
    trailers,
  };
}
