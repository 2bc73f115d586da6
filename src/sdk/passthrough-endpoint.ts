export type { PassthroughEndpoint } from '../../gen/sluice/v1/passthrough_pb.ts';
