import type { Schema } from '../../src/bridge/openapi-document.ts';

/** The envelope of src/base/errors.ts. */
export const ERROR_SCHEMA: Schema = {
  type: 'object',
  description: 'What every refusal of the gateway itself looks like: the envelope of the OpenAI API.',
  properties: {
    error: {
      type: 'object',
      properties: {
        message: { type: 'string', description: 'A sentence for people: what is wrong, and what to do.' },
        type: {
          type: 'string',
          description: 'The kind of error.',
          examples: [
            'invalid_request_error',
            'authentication_error',
            'permission_error',
            'not_found_error',
            'api_error',
          ],
        },
        param: { type: ['string', 'null'], description: 'The field, parameter or header at fault.' },
        code: {
          type: 'string',
          description: 'The reason, one word that stays as it is.',
          examples: ['invalid_request', 'missing_key', 'config_not_found', 'failed_precondition'],
        },
      },
      required: ['message', 'type', 'param', 'code'],
    },
  },
  required: ['error'],
  examples: [
    {
      error: {
        message: 'no configuration has this id',
        type: 'not_found_error',
        param: null,
        code: 'config_not_found',
      },
    },
  ],
};
