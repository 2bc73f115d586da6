import { adminRoutes } from './endpoints/admin.ts';
import { audioRoutes } from './endpoints/audio.ts';
import { chatRoutes } from './endpoints/chat.ts';
import { completionRoutes } from './endpoints/completions.ts';
import { generateRoutes } from './endpoints/generate.ts';
import { invocationRoutes } from './endpoints/invocations.ts';
import { messageRoutes } from './endpoints/messages.ts';
import { modelRoutes } from './endpoints/models.ts';
import { poolingRoutes } from './endpoints/pooling.ts';
import { responseRoutes } from './endpoints/responses.ts';
import { simRoutes } from './endpoints/sim.ts';
import { statusRoutes } from './endpoints/status.ts';
import { tokenizerRoutes } from './endpoints/tokenizer.ts';
import type { Route } from './http/route.ts';

const SERVED: readonly Route[] = [
  ...chatRoutes,
  ...completionRoutes,
  ...responseRoutes,
  ...messageRoutes,
  ...audioRoutes,
  ...generateRoutes,
  ...poolingRoutes,
  ...tokenizerRoutes,
  ...modelRoutes,
  ...statusRoutes,
  ...adminRoutes,
  ...invocationRoutes,
  ...simRoutes,
];

/**
 * The OpenAI endpoints without their `/v1`, too, because one of the documents calls them so: it stands for a
 * server whose base URL has a path, `--root-path /v1`.
 */
const UNPREFIXED = SERVED.filter(({ path }) =>
  /^\/v1\/(chat|completions|embeddings|models|audio)/.test(path),
).map((route): Route => ({ ...route, path: route.path.slice('/v1'.length) }));

export const ROUTES: readonly Route[] = [...SERVED, ...UNPREFIXED];
