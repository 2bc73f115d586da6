/**
 * Sends events on all paced streams from one clock. The streams take turns, evenly over the interval, as the tokens
 * of independent generations would come: 64 streams at 5 ms are one event every 78 µs. A timer of the event loop is
 * too coarse for that: 1 ms, so 13 events in a burst, which a proxy then takes in one wake-up at half the price.
 */
import type { Socket } from 'node:net';
import { clockUs, eventBytes, eventClockDigits, eventPrefix } from './exchange.ts';
import { onEachTurn } from './poll.ts';

const chunkStart = `${eventBytes.toString(16)}\r\n${eventPrefix}`;
const paddingStart = ',"choices":[{"index":0,"delta":{"content":"';
const chunkEnd = '"}}]}\n\n\r\n';
const framingBytes = `${eventBytes.toString(16)}\r\n\r\n`.length;
const paddingBytes =
  eventBytes + framingBytes - chunkStart.length - eventClockDigits - paddingStart.length - chunkEnd.length;
const afterClock = paddingStart + 'c'.repeat(paddingBytes) + chunkEnd;

const streams: Socket[] = [];
let intervalUs = 0;
let startedUs = 0;
let sentCount = 0;
let cursor = 0;
let stopTicking: (() => void) | null = null;

/** One event now; with `intervalMs` above zero, one more every interval until the socket closes. */
export function addStream(socket: Socket, intervalMs: number): void {
  sendEvent(socket);
  if (intervalMs === 0) return;
  streams.push(socket);
  intervalUs = intervalMs * 1e3;
  restart();
}

export function removeStream(socket: Socket): void {
  const index = streams.indexOf(socket);
  if (index === -1) return;
  streams.splice(index, 1);
  restart();
}

function restart(): void {
  startedUs = clockUs();
  sentCount = 0;
  if (streams.length === 0) {
    stopTicking?.();
    stopTicking = null;
  } else {
    stopTicking ??= onEachTurn(tick);
  }
}

function tick(): void {
  const dueCount = Math.floor(((clockUs() - startedUs) * streams.length) / intervalUs);
  // After a long stall only one round is made up for: a burst would measure the stall, not the proxy.
  if (dueCount - sentCount > streams.length) sentCount = dueCount - streams.length;
  for (; sentCount < dueCount; sentCount++) {
    cursor = (cursor + 1) % streams.length;
    const socket = streams[cursor];
    if (socket !== undefined) sendEvent(socket);
  }
}

function sendEvent(socket: Socket): void {
  const sentUs = String(clockUs()).padStart(eventClockDigits, '0');
  socket.write(chunkStart + sentUs + afterClock, 'latin1');
}
