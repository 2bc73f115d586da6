import * as z from 'zod';
import { flag, texts } from './fields.ts';
import {
  LITELLM_SETTINGS,
  LITELLM_SETTINGS_HINTS,
  LITELLM_SETTINGS_PREFIXES,
  ROUTER_SETTINGS,
  ROUTER_SETTINGS_HINTS,
  TOP_LEVEL,
  TOP_LEVEL_HINTS,
} from './known-settings.ts';
import { section } from './section.ts';
import { TIMEOUT_FIELDS } from './timeouts.ts';

/** The forks' names for one section. */
export const LIBRARY_SECTIONS = ['litellm_settings', 'remodl_settings', 'dheera_ai_settings'] as const;

export const TOP = section({
  description: 'Configuration of Sluice; that of a LiteLLM proxy serves as it is.',
  used: {
    environment_variables: texts({
      description:
        'Variables for os.environ/NAME and for defaults, where the environment itself has none of that name.',
      writeOnly: true,
    }),
  },
  nested: ['model_list', 'general_settings', 'router_settings', ...LIBRARY_SECTIONS],
  ignored: TOP_LEVEL,
  hints: TOP_LEVEL_HINTS,
});

export const LIBRARY = section({
  description: "LiteLLM's library settings.",
  used: {
    request_timeout: TIMEOUT_FIELDS.timeout.meta({
      description: 'timeout of deployments that have none.',
      default: 600,
    }),
    ssl_verify: z
      .union([flag({ description: '' }), z.string()])
      .meta({ description: "Whether upstreams' certificates are checked.", default: true }),
    set_verbose: flag({ description: 'Log in detail, as --detailed_debug does.', default: false }),
    json_logs: flag({ description: 'Accepted; logs are JSON anyway.' }),
  },
  ignored: LITELLM_SETTINGS,
  ignoredPrefixes: LITELLM_SETTINGS_PREFIXES,
  hints: LITELLM_SETTINGS_HINTS,
});

export const ROUTER = section({
  description: "LiteLLM's router settings.",
  used: {
    timeout: TIMEOUT_FIELDS.timeout.meta({
      description: 'timeout of deployments that have none.',
      default: 600,
    }),
    stream_timeout: TIMEOUT_FIELDS.stream_timeout.meta({
      description: 'stream_timeout of deployments that have none.',
      default: 600,
    }),
  },
  ignored: ROUTER_SETTINGS,
  hints: ROUTER_SETTINGS_HINTS,
});
