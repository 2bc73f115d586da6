import type { DescMessage } from '@bufbuild/protobuf';
import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';

/**
 * Makes a message that is no protobuf its sender's fault: Connect has INTERNAL for it and quotes its parser. It leaves no
 * way to say otherwise, but in each protocol the first that it does with an error, before it looks at it, is to abort
 * the call with it.
 */
export function blameSender({ requestHeader, signal }: HandlerContext, message: DescMessage): void {
  if (/json/i.test(requestHeader.get('content-type') ?? '')) return;
  const onAbort = (): void => {
    const { reason } = signal;
    if (reason instanceof ConnectError && isParseError(reason)) restate(reason, message);
  };
  signal.addEventListener('abort', onAbort, { once: true });
}

/** No implementation's error has these words: those of unknown errors are taken away, and ours are others. */
function isParseError({ code, rawMessage }: ConnectError): boolean {
  return code === Code.Internal && rawMessage.startsWith('parse binary: ');
}

function restate(error: ConnectError, { typeName }: DescMessage): void {
  const isDeep = /recursion depth/.test(error.rawMessage);
  const text = isDeep
    ? 'the message is nested more than 100 levels deep'
    : `the message is not the binary form of ${typeName}`;
  const { code, rawMessage, message } = new ConnectError(text, Code.InvalidArgument);
  Object.assign(error, { code, rawMessage, message });
}
