/** How the suite's runner talks to a server's process: each message with its length in front, 4 bytes big-endian. */

/** @throws Error when the stream ends within the message */
export async function readMessage(from: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  let received = Buffer.alloc(0);
  for await (const bytes of from) {
    received = Buffer.concat([received, bytes]);
    if (received.length < 4) continue;
    const end = 4 + received.readUInt32BE();
    if (received.length >= end) return received.subarray(4, end);
  }
  throw new Error(`the runner ended its message after ${received.length} bytes`);
}

export function framed(message: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(message.length);
  return Buffer.concat([length, message]);
}
