import type { Provider } from '../base/config/config.ts';

/**
 * The provider table: where each provider's API is, and how it takes a key. Names and variables are LiteLLM's
 * (https://docs.litellm.ai/docs/providers), addresses and headers those of the vendors' documentation.
 */

const BEARER = { authHeader: 'authorization', authPrefix: 'Bearer ' } as const;

type Entry = Omit<Provider, 'aliases' | 'modelPatterns' | 'authHeader' | 'authPrefix'> & Partial<Provider>;

/** A provider that takes `Authorization: Bearer`, unless it says otherwise. */
function provider(entry: Entry): Provider {
  return Object.freeze({ aliases: [], modelPatterns: [], ...BEARER, ...entry });
}

/** One whose variables are `<PREFIX>_API_BASE` and `<PREFIX>_API_KEY`, and which has no other peculiarity. */
function plain(id: string, apiBase: string, prefix: string): Provider {
  return provider({ id, apiBase, apiBaseEnv: [`${prefix}_API_BASE`], apiKeyEnv: [`${prefix}_API_KEY`] });
}

export const PROVIDERS: readonly Provider[] = Object.freeze([
  provider({
    id: 'vllm',
    aliases: ['hosted_vllm'],
    apiBase: null,
    apiBaseEnv: ['HOSTED_VLLM_API_BASE', 'VLLM_API_BASE'],
    apiKeyEnv: ['HOSTED_VLLM_API_KEY', 'VLLM_API_KEY'],
  }),
  provider({
    id: 'openai',
    aliases: ['aiohttp_openai', 'custom_openai', 'openai_like', 'text-completion-openai'],
    apiBase: 'https://api.openai.com/v1',
    apiBaseEnv: ['OPENAI_API_BASE', 'OPENAI_BASE_URL'],
    apiKeyEnv: ['OPENAI_API_KEY'],
    modelPatterns: [
      /^(ft:)?(gpt|chatgpt|codex|davinci|babbage|computer-use|omni-moderation|text-moderation)-/,
      /^(ft:)?o\d+(-|$)/,
      /^(text-embedding|dall-e|tts|whisper|sora)-(ada|large|small|\d)/,
    ],
  }),
  provider({
    id: 'anthropic',
    aliases: ['anthropic_text'],
    apiBase: 'https://api.anthropic.com',
    apiBaseEnv: ['ANTHROPIC_API_BASE', 'ANTHROPIC_BASE_URL'],
    apiKeyEnv: ['ANTHROPIC_API_KEY'],
    authHeader: 'x-api-key',
    authPrefix: '',
    modelPatterns: [/^claude-/],
  }),
  provider({
    id: 'cohere',
    aliases: ['cohere_chat'],
    apiBase: 'https://api.cohere.com',
    apiBaseEnv: ['COHERE_API_BASE'],
    apiKeyEnv: ['COHERE_API_KEY', 'CO_API_KEY'],
    modelPatterns: [/^command(-|$)/, /^c4ai-/, /^rerank-/, /^embed-(english|multilingual|v\d)/],
  }),
  provider({
    id: 'mistral',
    apiBase: 'https://api.mistral.ai/v1',
    apiBaseEnv: ['MISTRAL_API_BASE'],
    apiKeyEnv: ['MISTRAL_API_KEY'],
    modelPatterns: [
      /^(mistral|ministral|magistral|pixtral|codestral|devstral|voxtral|open-mistral|open-mixtral)-/,
    ],
  }),
  provider({
    id: 'codestral',
    aliases: ['text-completion-codestral'],
    apiBase: 'https://codestral.mistral.ai/v1',
    apiBaseEnv: ['CODESTRAL_API_BASE'],
    apiKeyEnv: ['CODESTRAL_API_KEY'],
  }),
  provider({
    id: 'gemini',
    apiBase: 'https://generativelanguage.googleapis.com',
    apiBaseEnv: ['GEMINI_API_BASE'],
    apiKeyEnv: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
    authHeader: 'x-goog-api-key',
    authPrefix: '',
    modelPatterns: [/^gemini-/],
  }),
  provider({
    id: 'together_ai',
    apiBase: 'https://api.together.xyz/v1',
    apiBaseEnv: ['TOGETHER_AI_API_BASE'],
    apiKeyEnv: ['TOGETHER_API_KEY', 'TOGETHER_AI_API_KEY', 'TOGETHERAI_API_KEY', 'TOGETHER_AI_TOKEN'],
  }),
  provider({
    id: 'deepseek',
    apiBase: 'https://api.deepseek.com',
    apiBaseEnv: ['DEEPSEEK_API_BASE'],
    apiKeyEnv: ['DEEPSEEK_API_KEY'],
    modelPatterns: [/^deepseek-(chat|reasoner|coder)/],
  }),
  provider({
    id: 'openrouter',
    apiBase: 'https://openrouter.ai/api/v1',
    apiBaseEnv: ['OPENROUTER_API_BASE'],
    apiKeyEnv: ['OPENROUTER_API_KEY', 'OR_API_KEY'],
  }),
  provider({
    id: 'fireworks_ai',
    apiBase: 'https://api.fireworks.ai/inference/v1',
    apiBaseEnv: ['FIREWORKS_API_BASE', 'FIREWORKS_AI_API_BASE'],
    apiKeyEnv: ['FIREWORKS_API_KEY', 'FIREWORKS_AI_API_KEY', 'FIREWORKSAI_API_KEY', 'FIREWORKS_AI_TOKEN'],
  }),
  provider({
    id: 'perplexity',
    apiBase: 'https://api.perplexity.ai',
    apiBaseEnv: ['PERPLEXITY_API_BASE'],
    apiKeyEnv: ['PERPLEXITYAI_API_KEY', 'PERPLEXITY_API_KEY'],
    modelPatterns: [/^sonar(-|$)/],
  }),
  provider({
    id: 'xai',
    apiBase: 'https://api.x.ai/v1',
    apiBaseEnv: ['XAI_API_BASE'],
    apiKeyEnv: ['XAI_API_KEY'],
    modelPatterns: [/^grok-/],
  }),
  provider({
    id: 'jina_ai',
    apiBase: 'https://api.jina.ai/v1',
    apiBaseEnv: ['JINA_AI_API_BASE'],
    apiKeyEnv: ['JINA_AI_API_KEY', 'JINA_AI_TOKEN', 'JINA_API_KEY'],
    modelPatterns: [/^jina-/],
  }),
  provider({
    id: 'voyage',
    apiBase: 'https://api.voyageai.com/v1',
    apiBaseEnv: ['VOYAGE_API_BASE'],
    apiKeyEnv: ['VOYAGE_API_KEY', 'VOYAGE_AI_API_KEY', 'VOYAGE_AI_TOKEN'],
    modelPatterns: [/^voyage-/],
  }),
  provider({
    id: 'huggingface',
    apiBase: 'https://router.huggingface.co/v1',
    apiBaseEnv: ['HUGGINGFACE_API_BASE', 'HF_API_BASE'],
    apiKeyEnv: ['HUGGINGFACE_API_KEY', 'HF_TOKEN'],
  }),
  provider({
    id: 'ai21',
    aliases: ['ai21_chat'],
    apiBase: 'https://api.ai21.com/studio/v1',
    apiBaseEnv: ['AI21_API_BASE'],
    apiKeyEnv: ['AI21_API_KEY'],
    modelPatterns: [/^jamba-/],
  }),
  provider({
    id: 'moonshot',
    apiBase: 'https://api.moonshot.ai/v1',
    apiBaseEnv: ['MOONSHOT_API_BASE'],
    apiKeyEnv: ['MOONSHOT_API_KEY'],
    modelPatterns: [/^(kimi|moonshot)-/],
  }),
  provider({
    id: 'volcengine',
    apiBase: 'https://ark.cn-beijing.volces.com/api/v3',
    apiBaseEnv: ['VOLCENGINE_API_BASE'],
    apiKeyEnv: ['VOLCENGINE_API_KEY', 'ARK_API_KEY'],
  }),
  provider({
    id: 'friendliai',
    apiBase: 'https://api.friendli.ai/serverless/v1',
    apiBaseEnv: ['FRIENDLI_API_BASE'],
    apiKeyEnv: ['FRIENDLIAI_API_KEY', 'FRIENDLI_TOKEN'],
  }),
  provider({
    id: 'replicate',
    apiBase: 'https://api.replicate.com/v1',
    apiBaseEnv: ['REPLICATE_API_BASE'],
    apiKeyEnv: ['REPLICATE_API_KEY', 'REPLICATE_API_TOKEN'],
  }),
  provider({
    id: 'assemblyai',
    apiBase: 'https://api.assemblyai.com',
    apiBaseEnv: ['ASSEMBLYAI_API_BASE'],
    apiKeyEnv: ['ASSEMBLYAI_API_KEY'],
    authPrefix: '',
  }),
  provider({
    id: 'deepgram',
    apiBase: 'https://api.deepgram.com/v1',
    apiBaseEnv: ['DEEPGRAM_API_BASE'],
    apiKeyEnv: ['DEEPGRAM_API_KEY'],
    authPrefix: 'Token ',
  }),
  provider({
    id: 'elevenlabs',
    apiBase: 'https://api.elevenlabs.io',
    apiBaseEnv: ['ELEVENLABS_API_BASE'],
    apiKeyEnv: ['ELEVENLABS_API_KEY'],
    authHeader: 'xi-api-key',
    authPrefix: '',
  }),
  provider({
    id: 'ollama',
    aliases: ['ollama_chat'],
    apiBase: 'http://localhost:11434',
    apiBaseEnv: ['OLLAMA_API_BASE'],
    apiKeyEnv: ['OLLAMA_API_KEY'],
  }),
  provider({
    id: 'xinference',
    apiBase: null,
    apiBaseEnv: ['XINFERENCE_API_BASE'],
    apiKeyEnv: ['XINFERENCE_API_KEY'],
  }),
  provider({
    id: 'infinity',
    apiBase: null,
    apiBaseEnv: ['INFINITY_API_BASE'],
    apiKeyEnv: ['INFINITY_API_KEY'],
  }),
  provider({
    id: 'litellm_proxy',
    aliases: ['remodl_proxy', 'dheera_ai_proxy'],
    apiBase: null,
    apiBaseEnv: ['LITELLM_PROXY_API_BASE', 'REMODL_PROXY_API_BASE', 'DHEERA_AI_PROXY_API_BASE'],
    apiKeyEnv: ['LITELLM_PROXY_API_KEY', 'REMODL_PROXY_API_KEY', 'DHEERA_AI_PROXY_API_KEY'],
  }),
  provider({
    id: 'featherless_ai',
    apiBase: 'https://api.featherless.ai/v1',
    apiBaseEnv: ['FEATHERLESS_API_BASE', 'FEATHERLESS_AI_API_BASE'],
    apiKeyEnv: ['FEATHERLESS_API_KEY', 'FEATHERLESS_AI_API_KEY'],
  }),
  provider({
    id: 'baseten',
    apiBase: 'https://inference.baseten.co/v1',
    apiBaseEnv: ['BASETEN_API_BASE'],
    apiKeyEnv: ['BASETEN_API_KEY', 'BASETEN_KEY'],
  }),
  provider({
    id: 'aiml',
    apiBase: 'https://api.aimlapi.com/v1',
    apiBaseEnv: ['AIML_API_BASE'],
    apiKeyEnv: ['AIML_API_KEY', 'AIMLAPI_KEY'],
  }),
  provider({
    id: 'cometapi',
    apiBase: 'https://api.cometapi.com/v1',
    apiBaseEnv: ['COMETAPI_API_BASE'],
    apiKeyEnv: ['COMETAPI_KEY', 'COMETAPI_API_KEY'],
  }),
  provider({
    id: 'runwayml',
    apiBase: 'https://api.dev.runwayml.com',
    apiBaseEnv: ['RUNWAYML_API_BASE'],
    apiKeyEnv: ['RUNWAYML_API_SECRET', 'RUNWAYML_API_KEY'],
  }),
  provider({
    id: 'fal_ai',
    apiBase: 'https://fal.run',
    apiBaseEnv: ['FAL_AI_API_BASE'],
    apiKeyEnv: ['FAL_AI_API_KEY', 'FAL_KEY'],
    authPrefix: 'Key ',
  }),
  provider({
    id: 'topaz',
    apiBase: 'https://api.topazlabs.com',
    apiBaseEnv: ['TOPAZ_API_BASE'],
    apiKeyEnv: ['TOPAZ_API_KEY'],
    authHeader: 'x-api-key',
    authPrefix: '',
  }),
  plain('amazon_nova', 'https://api.nova.amazon.com/v1', 'AMAZON_NOVA'),
  plain('cerebras', 'https://api.cerebras.ai/v1', 'CEREBRAS'),
  plain('compactifai', 'https://api.compactif.ai/v1', 'COMPACTIFAI'),
  plain('dashscope', 'https://dashscope.aliyuncs.com/compatible-mode/v1', 'DASHSCOPE'),
  plain('deepinfra', 'https://api.deepinfra.com/v1/openai', 'DEEPINFRA'),
  plain('docker_model_runner', 'http://localhost:22088/engines/llama.cpp', 'DOCKER_MODEL_RUNNER'),
  plain('galadriel', 'https://api.galadriel.com/v1', 'GALADRIEL'),
  plain('groq', 'https://api.groq.com/openai/v1', 'GROQ'),
  plain('helicone', 'https://ai-gateway.helicone.ai', 'HELICONE'),
  plain('hyperbolic', 'https://api.hyperbolic.xyz/v1', 'HYPERBOLIC'),
  plain('lambda_ai', 'https://api.lambda.ai/v1', 'LAMBDA'),
  plain('lemonade', 'http://localhost:8000/api/v1', 'LEMONADE'),
  plain('llamafile', 'http://localhost:8080/v1', 'LLAMAFILE'),
  plain('lm_studio', 'http://localhost:1234/v1', 'LM_STUDIO'),
  plain('meta_llama', 'https://api.llama.com/compat/v1', 'LLAMA'),
  plain('morph', 'https://api.morphllm.com/v1', 'MORPH'),
  plain('nebius', 'https://api.studio.nebius.ai/v1', 'NEBIUS'),
  plain('novita', 'https://api.novita.ai/v3/openai', 'NOVITA'),
  plain('nscale', 'https://inference.api.nscale.com/v1', 'NSCALE'),
  plain('nvidia_nim', 'https://integrate.api.nvidia.com/v1', 'NVIDIA_NIM'),
  plain('ovhcloud', 'https://oai.endpoints.kepler.ai.cloud.ovh.net/v1', 'OVHCLOUD'),
  plain('publicai', 'https://api.publicai.co/v1', 'PUBLICAI'),
  plain('recraft', 'https://external.api.recraft.ai', 'RECRAFT'),
  plain('sambanova', 'https://api.sambanova.ai/v1', 'SAMBANOVA'),
  plain('stability', 'https://api.stability.ai', 'STABILITY'),
  plain('v0', 'https://api.v0.dev/v1', 'V0'),
  plain('veniceai', 'https://api.venice.ai/api/v1', 'VENICE_AI'),
  plain('vercel_ai_gateway', 'https://ai-gateway.vercel.sh/v1', 'VERCEL_AI_GATEWAY'),
  plain('wandb', 'https://api.inference.wandb.ai/v1', 'WANDB'),
  plain('zai', 'https://api.z.ai/api/paas/v4', 'ZAI'),
]);

const BY_NAME: ReadonlyMap<string, Provider> = new Map(
  PROVIDERS.flatMap((one) => [one.id, ...one.aliases].map((name) => [name, one] as const)),
);

/** The provider with this id or alias, as in `/{provider}/…` and `provider/model`; null for any other name. */
export function providerFrom(idOrAlias: string): Provider | null {
  return BY_NAME.get(idOrAlias) ?? null;
}
