/**
 * Characters that nobody sees and that change what is shown of others: control characters, those that turn the direction of
 * writing, those without a width, halves of characters. Line feeds and tabs are of the text.
 */
const UNSEEN = /(?![\n\t])[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu

/** A text as a terminal may show it: what nobody sees is escaped, as in JSON, so that JSON stays the same value. */
export function visibleText(text: string): string {
  return text.replace(UNSEEN, escaped)
}

function escaped(character: string): string {
  const units = Array.from({ length: character.length }, (_, i) => character.charCodeAt(i))
  return units.map((unit) => `\\u${unit.toString(16).padStart(4, '0')}`).join('')
}
