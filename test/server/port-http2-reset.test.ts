import { once } from 'node:events';
import { type ClientHttp2Stream, constants, type Http2ServerResponse } from 'node:http2';
import { describe, expect, test } from 'vitest';
import { type AnyRequest, openHttp2, openTestPort } from './port-fixture.ts';

/** More than Node hands on unasked, so that some of it is held back. */
const BODY = Buffer.alloc(200_000, 'x');

/** Reads the first bytes of a body and no more, as for an upstream that is slow. */
async function holdBack(req: AnyRequest): Promise<void> {
  req.on('data', () => {});
  await once(req, 'data');
  req.pause();
}

interface Held {
  readonly stream: ClientHttp2Stream;
  readonly res: Http2ServerResponse;
  /** Resolves when the exchange is over on the port's side. */
  readonly closed: Promise<unknown>;
  readonly inFlight: () => number;
}

/** One request whose body is held back; its client takes no byte of a response. */
async function heldRequest(): Promise<Held> {
  const arrived = Promise.withResolvers<Http2ServerResponse>();
  const port = await openTestPort({
    handlers: {
      request(req, res) {
        void holdBack(req).then(() => arrived.resolve(res as Http2ServerResponse));
      },
    },
  });
  const session = openHttp2(port);
  session.settings({ initialWindowSize: 0 });
  await once(session, 'localSettings');
  const stream = session.request({ ':method': 'POST', ':path': '/x' });
  stream.on('error', () => {});
  stream.write(BODY);
  const res = await arrived.promise;
  return { stream, res, closed: once(res, 'close'), inFlight: () => port.inFlight };
}

// Node keeps a stream that was reset with NO_ERROR until its body is read to the end.
describe('a client that resets a stream with NO_ERROR while its body is held back', () => {
  test('is gone at once when it had no response yet', async () => {
    const { stream, closed, inFlight } = await heldRequest();
    expect(inFlight()).toBe(1);
    stream.close(constants.NGHTTP2_NO_ERROR);
    await closed;
    expect(inFlight()).toBe(0);
  });

  test('is gone at once when its response had begun', async () => {
    const { stream, res, closed, inFlight } = await heldRequest();
    res.write('some');
    await once(stream, 'response');
    stream.close(constants.NGHTTP2_NO_ERROR);
    await closed;
    expect(inFlight()).toBe(0);
  });

  test('is gone soon when its response was complete and not yet taken', async () => {
    const { stream, res, closed, inFlight } = await heldRequest();
    res.end('all');
    await once(stream, 'response');
    stream.close(constants.NGHTTP2_NO_ERROR);
    await closed;
    expect(inFlight()).toBe(0);
  });

  test('is gone soon when its response was complete and taken but for the trailers', async () => {
    const { stream, res, closed, inFlight } = await heldRequest();
    // Sent behind the trailers, which are sent never.
    res.stream.respond({ ':status': 200 }, { waitForTrailers: true });
    res.stream.removeAllListeners('wantTrailers');
    res.stream.end();
    await once(res.stream, 'finish');
    stream.close(constants.NGHTTP2_NO_ERROR);
    await closed;
    expect(inFlight()).toBe(0);
  });

  test('is gone soon when it leaves the connection with it', async () => {
    const { stream, res, closed, inFlight } = await heldRequest();
    res.end('all');
    await once(stream, 'response');
    const { session } = stream;
    stream.close(constants.NGHTTP2_NO_ERROR);
    session?.close();
    await closed;
    expect(inFlight()).toBe(0);
  });
});
