import type { Exchange } from './exchange.ts';
import { type Fixture, startFixture } from './fixture.ts';
import { startScriptedUpstream } from './scripted-upstream.ts';

const PLAIN_ANSWER = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok';

/** A fixture whose upstream answers what each exchange says. */
export async function startScriptedFixture(): Promise<Fixture> {
  const upstream = await startScriptedUpstream();
  return startFixture({
    ...upstream,
    prepare: ({ answer, closes }: Exchange) => upstream.answer(answer ?? [PLAIN_ANSWER], closes === true),
  });
}
