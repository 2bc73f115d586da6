import { describe, expect, test } from 'vitest';
import { FrameFollower, goingAwayFrame } from '../../src/relay/websocket-frames.ts';
import { closeFrame, frame, Opcode } from '../helpers/websocket.ts';

const FRAMES = [
  frame(Opcode.text, 'hi', { masked: true }),
  frame(Opcode.ping, '', { masked: false }),
  frame(Opcode.binary, Buffer.alloc(125), { masked: true }),
  frame(Opcode.binary, Buffer.alloc(126, 8), { masked: true }),
  frame(Opcode.continuation, Buffer.alloc(300, 0x88), { masked: false, fin: false }),
  frame(Opcode.binary, Buffer.alloc(65_536, 0x88), { masked: true }),
];

describe('FrameFollower', () => {
  test.each(FRAMES.map((bytes) => [bytes.length, bytes] as const))(
    'knows the borders of a frame of %i bytes, cut anywhere',
    (_, bytes) => {
      const cuts = bytes.length < 1000 ? bytes.length : 20;
      for (let cut = 1; cut < cuts; cut++) {
        const follower = new FrameFollower();
        follower.follow(bytes.subarray(0, cut));
        expect([cut, follower.atBorder]).toEqual([cut, false]);
        follower.follow(bytes.subarray(cut));
        expect([cut, follower.atBorder, follower.closed]).toEqual([cut, true, false]);
      }
    },
  );

  test('sees a close frame behind others, and no other byte 0x88 for one', () => {
    const follower = new FrameFollower();
    follower.follow(Buffer.concat(FRAMES));
    expect([follower.atBorder, follower.closed]).toEqual([true, false]);
    const close = closeFrame(1000, 'bye', true);
    follower.follow(close.subarray(0, 3));
    follower.follow(close.subarray(3));
    expect([follower.atBorder, follower.closed]).toEqual([true, true]);
  });

  test('is at a border before the first byte', () => {
    expect(new FrameFollower().atBorder).toBe(true);
  });
});

test('goingAwayFrame is a masked close frame with status 1001', () => {
  expect(goingAwayFrame().toString('hex')).toBe('88820000000003e9');
});
