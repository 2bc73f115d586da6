import { Code, ConnectError } from '@connectrpc/connect';
import type { Compression } from '@connectrpc/connect/protocol';
import { compressionGzip } from '@connectrpc/connect-node';

/** gzip at its default level. Connect's own takes a body that is cut short for a fault of the server's. */
export const gzip: Compression = {
  name: compressionGzip.name,
  compress: (bytes) => compressionGzip.compress(bytes),
  async decompress(bytes, readMaxBytes) {
    try {
      return await compressionGzip.decompress(bytes, readMaxBytes);
    } catch (thrown) {
      if (thrown instanceof ConnectError && thrown.code === Code.ResourceExhausted) throw thrown;
      throw new ConnectError('The message is not whole and valid gzip.', Code.InvalidArgument);
    }
  },
};
