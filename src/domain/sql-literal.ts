/** A text as an SQL literal, for statements that travel by the simple protocol. */
export function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`
}
