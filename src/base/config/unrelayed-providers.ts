/**
 * Providers of the LiteLLM proxy whose requests can't be relayed as they come, and why. Their entries in
 * `model_list` are left out with a warning, so that the rest of a config.yaml serves.
 */
const REASONS = {
  account: 'its address is made for each account',
  azure: 'its addresses carry the deployment and an api-version',
  local: 'it is a part of LiteLLM itself',
  oauth: 'it wants OAuth tokens of its own',
  unlisted: 'it is not in the provider table; as openai/… with an api_base it may be served',
  signed: 'it wants each request signed',
} as const;

const UNRELAYED: ReadonlyMap<string, keyof typeof REASONS> = new Map([
  ['a2a_agent', 'local'],
  ['aleph_alpha', 'unlisted'],
  ['anyscale', 'unlisted'],
  ['auto_router', 'local'],
  ['azure', 'azure'],
  ['azure_ai', 'azure'],
  ['azure_text', 'azure'],
  ['bedrock', 'signed'],
  ['bedrock_converse', 'signed'],
  ['bytez', 'unlisted'],
  ['chatgpt', 'oauth'],
  ['clarifai', 'account'],
  ['cloudflare', 'account'],
  ['custom', 'local'],
  ['databricks', 'account'],
  ['datarobot', 'account'],
  ['dotprompt', 'local'],
  ['empower', 'unlisted'],
  ['gigachat', 'oauth'],
  ['github', 'unlisted'],
  ['github_copilot', 'oauth'],
  ['gradient_ai', 'unlisted'],
  ['heroku', 'account'],
  ['humanloop', 'local'],
  ['langfuse', 'local'],
  ['langgraph', 'unlisted'],
  ['maritalk', 'unlisted'],
  ['milvus', 'local'],
  ['nlp_cloud', 'unlisted'],
  ['oci', 'signed'],
  ['oobabooga', 'unlisted'],
  ['palm', 'unlisted'],
  ['petals', 'unlisted'],
  ['pg_vector', 'local'],
  ['predibase', 'account'],
  ['ragflow', 'unlisted'],
  ['sagemaker', 'signed'],
  ['sagemaker_chat', 'signed'],
  ['sap', 'oauth'],
  ['snowflake', 'account'],
  ['triton', 'unlisted'],
  ['vertex_ai', 'oauth'],
  ['vertex_ai_beta', 'oauth'],
  ['watsonx', 'oauth'],
  ['watsonx_text', 'oauth'],
]);

/** Bedrock's own names, which LiteLLM takes without a prefix: `us.anthropic.claude-…`. */
const BEDROCK_MODEL = /^((us|eu|apac|ap|global)\.)?(ai21|amazon|anthropic|cohere|meta|mistral|stability)\./;

/** Why models of this provider are left out, or null when it isn't one of these. */
export function unrelayedReason(provider: string): string | null {
  const reason = UNRELAYED.get(provider);
  return reason === undefined ? null : REASONS[reason];
}

/** The unrelayed provider to which a bare model name belongs, or null. */
export function unrelayedProviderOf(model: string): string | null {
  return BEDROCK_MODEL.test(model) ? 'bedrock' : null;
}
