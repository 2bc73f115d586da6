import { Connection, statusOf } from './connection.ts';
import { requestBytes } from './exchange.ts';

export interface ProbeResult {
  readonly status: number;
  readonly body: string;
}

/** One chat request on a connection of its own; rejects when the port refuses or the connection breaks. */
export function probe(port: number): Promise<ProbeResult> {
  return new Promise((resolve, reject) => {
    let status = 0;
    let body = '';
    let client: Connection | null = null;
    const sink = {
      onHead: (head: string) => {
        status = statusOf(head);
      },
      onBody: (chunk: Buffer, start: number, end: number) => {
        body += chunk.toString('latin1', start, end);
      },
      onEnd: () => {
        client?.close();
        resolve({ status, body });
      },
    };
    Connection.open(port, sink, (reason) => reject(new Error(reason))).then((connection) => {
      client = connection;
      connection.send(requestBytes('chat'));
    }, reject);
  });
}
