import { dollars } from './fields.ts';
import type { Path, Report } from './report.ts';
import { describe } from './section.ts';
import type { YamlObject } from './yaml-tree.ts';

/** LiteLLM's price fields, and `cost_per_request`. All in US dollars. */
const PRICE_KEYS = [
  'cost_per_request',
  'input_cost_per_token',
  'output_cost_per_token',
  'cache_creation_input_token_cost',
  'cache_read_input_token_cost',
  'input_cost_per_second',
  'output_cost_per_second',
  'input_cost_per_request',
  'input_cost_per_query',
  'input_cost_per_character',
  'output_cost_per_character',
  'input_cost_per_pixel',
  'output_cost_per_pixel',
  'input_cost_per_image',
  'output_cost_per_image',
  'input_cost_per_image_token',
  'output_cost_per_image_token',
  'input_cost_per_audio_token',
  'output_cost_per_audio_token',
  'input_cost_per_audio_per_second',
  'output_cost_per_audio_per_second',
  'input_cost_per_video_per_second',
  'output_cost_per_video_per_second',
  'output_cost_per_reasoning_token',
  'citation_cost_per_token',
  'ocr_cost_per_page',
  'annotation_cost_per_page',
  'input_cost_per_token_batches',
  'output_cost_per_token_batches',
  'input_cost_per_token_cache_hit',
  'input_cost_per_token_flex',
  'output_cost_per_token_flex',
  'input_cost_per_token_priority',
  'output_cost_per_token_priority',
  'input_cost_per_token_above_128k_tokens',
  'output_cost_per_token_above_128k_tokens',
  'input_cost_per_token_above_200k_tokens',
  'output_cost_per_token_above_200k_tokens',
  'input_cost_per_token_above_272k_tokens',
  'output_cost_per_token_above_272k_tokens',
  'input_cost_per_character_above_128k_tokens',
  'output_cost_per_character_above_128k_tokens',
  'input_cost_per_image_above_128k_tokens',
  'input_cost_per_audio_per_second_above_128k_tokens',
  'input_cost_per_video_per_second_above_128k_tokens',
  'input_cost_per_video_per_second_above_15s_interval',
  'input_cost_per_video_per_second_above_8s_interval',
  'cache_creation_input_audio_token_cost',
  'cache_creation_input_token_cost_above_1hr',
  'cache_creation_input_token_cost_above_200k_tokens',
  'cache_read_input_audio_token_cost',
  'cache_read_input_token_cost_flex',
  'cache_read_input_token_cost_priority',
  'cache_read_input_token_cost_above_200k_tokens',
] as const;

type PriceKey = (typeof PRICE_KEYS)[number];
type PriceField = ReturnType<typeof dollars>;

const PRICE = dollars({ description: 'US dollars, for the unit in the name.' });

export const PRICE_FIELDS = Object.fromEntries(PRICE_KEYS.map((key) => [key, PRICE])) as Record<
  PriceKey,
  PriceField
>;

/** The prices in `litellm_params`, completed by those in `model_info`, where the file's author may put them too. */
export function pricesFrom(
  params: Readonly<Partial<Record<PriceKey, number>>>,
  modelInfo: YamlObject,
  modelInfoPath: Path,
  report: Report,
): Readonly<Record<string, number>> {
  const prices: Record<string, number> = {};
  for (const key of PRICE_KEYS) {
    const own = params[key];
    const info = modelInfo[key];
    if (own !== undefined) prices[key] = own;
    else if (info !== undefined && info !== null) {
      const parsed = PRICE.safeParse(info);
      if (parsed.success) prices[key] = parsed.data;
      else report.fault([...modelInfoPath, key], `${parsed.error.issues[0]?.message}, not ${describe(info)}`);
    }
  }
  return prices;
}
