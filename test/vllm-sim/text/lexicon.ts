/**
 * Words that give a short text away: greetings, pronouns and function words that an n-gram model sees too
 * little of in "Hola, mundo". Swahili has a longer list because the n-gram model does not know it at all.
 * Scripts that belong to one language (Greek, Thai, kana, Devanagari, ...) need no words.
 */
const WORDS: Readonly<Record<string, string>> = {
  bg: 'аз ти той тя то ние вие те не да се съм си сме сте са беше че на от за със или здравей здравейте добро утро добър ден благодаря много какво как къде днес свят е времето искам може моля',
  de: 'ich du er sie wir ihr und der die das ein eine nicht ist sind war mit auf für von zu hallo guten morgen tag danke bitte wie was wo heute welt geht ja nein auch',
  en: 'i you he she it we they and the a an of to in is are was were be not have has do does this that with for on hello hi hey good morning thanks thank please what where how today world yes my your',
  es: 'yo tú él ella nosotros y el la los las un una de que en es son está no se por con para hola buenos días gracias cómo dónde qué hoy mundo muy estás soy tengo quiero también pero',
  fr: 'je tu il elle nous vous ils et le la les un une des de que est sont pas ne dans pour avec sur bonjour salut merci comment où quoi monde très oui suis être avez ce cette',
  it: 'io tu lui lei noi voi e il lo la gli un una di che è sono non si per con ciao buongiorno grazie come dove cosa oggi mondo molto sei ho hai questo questa anche ma della',
  nl: 'ik jij je hij zij wij en de het een van niet is zijn was met op voor te hallo goedemorgen goedemiddag dank bedankt wat waar hoe vandaag wereld ja ook maar naar deze dat',
  pl: 'ja ty on ona my wy i w na z do nie jest są się to że jak co gdzie dzień dobry cześć witaj dziękuję proszę dzisiaj świecie tak bardzo ale mam jestem czy',
  pt: 'eu tu você ele ela nós e o a os as um uma de que em é são está não se por com para olá oi bom boa dia obrigado obrigada como onde hoje mundo muito também mas tenho sou do da',
  ru: 'я ты он она оно мы вы они и в на с что не это как где привет здравствуйте доброе утро добрый день спасибо пожалуйста сегодня мир очень да нет есть был хорошо у меня',
  sw: 'mimi wewe yeye sisi nyinyi wao na ya wa za la kwa ni si katika hii hiyo huyu hali habari hujambo jambo mambo asante sana karibu dunia leo jana kesho nini wapi vipi gani lakini watoto mtoto mtu watu nyumba nyumbani chakula maji nzuri mzuri vizuri ndiyo hapana tafadhali kuwa alikuwa ninapenda napenda nataka ninataka yangu yako yake wangu wako mpira hewa shule mwalimu rafiki safari kila siku asubuhi jioni usiku kama tu pia bado sasa baada kabla jina langu mji mkuu nchi wetu yetu kiswahili',
  tr: 'ben sen o biz siz onlar ve bir bu şu için ile ne nasıl nerede merhaba selam günaydın teşekkürler teşekkür ederim lütfen bugün dünya çok evet hayır değil var yok ama güzel',
  vi: 'tôi bạn anh chị em và là của không có một những các này cho với xin chào cảm ơn gì đâu hôm nay thế giới rất được ở người đi',
};

const LEXICON: ReadonlyMap<string, ReadonlySet<string>> = new Map(
  Object.entries(WORDS).map(([language, words]) => [language, new Set(words.split(' '))]),
);

/** For each language that has a list: the share of `words` (lower case) in it, 0 to 1. */
export function lexiconShares(words: readonly string[]): ReadonlyMap<string, number> {
  const shares = new Map<string, number>();
  if (words.length === 0) return shares;
  for (const [language, known] of LEXICON) {
    shares.set(language, words.filter((word) => known.has(word)).length / words.length);
  }
  return shares;
}

/** Letters and marks that only one of the twenty languages writes. */
const MARKS: readonly (readonly [language: string, marks: RegExp])[] = [
  ['de', /[äß]/],
  ['es', /[ñ¿¡]/],
  ['fr', /[œêçèùû]|\b[jltsndm]['’]/],
  ['pl', /[ąćęłńśźż]/],
  ['pt', /[ãõ]/],
  ['ru', /[ыэё]/],
  ['tr', /[ğşı]/],
  ['vi', /[ăđơưạảấầẩẫậắằẳẵặẹẻẽếềểễệỉịọỏốồổỗộớờởỡợụủứừửữựỳỵỷỹ]/],
];

/** The languages whose own letters stand in `text` (lower case). */
export function markedLanguages(text: string): readonly string[] {
  return MARKS.filter(([, marks]) => marks.test(text)).map(([language]) => language);
}

/**
 * How Swahili a text looks, 0 to 1: all of its words end in a vowel, and many have the k, w and y that the
 * other languages of open syllables (Italian, Spanish, Portuguese) do without.
 */
export function swahiliShare(words: readonly string[]): number {
  if (words.length === 0 || !words.every((word) => /^[a-z]*[aeiou]$/.test(word))) return 0;
  return words.filter((word) => /[kwy]/.test(word)).length / words.length;
}
