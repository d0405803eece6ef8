import { ERROR_KINDS, type ErrorCode } from '../../errors.ts'

const INTRODUCTION = `# Errors

<!-- Generated from src/errors/ by \`npm run docs\`. -->

Every error that Tapeline reports has a code. Codes are stable: programs may depend on them. They appear

- in the answers of the API, as \`code\` of a problem document ([RFC 9457](https://www.rfc-editor.org/rfc/rfc9457)),
  under the HTTP status below;
- on the command line, in front of the message; what to do stands on the line after it;
- in the log, and as \`errorInfo.code\` of an actor (\`tapeline actors\`, \`GET /v1/actors\`);
- in [alerts](alerts.md), and in dead letters.

**Tried again** says whether the same attempt may succeed later without a person doing anything. The platform tries such
work again by itself, after 100 ms at first and after up to 30 s later; a client of the API may do the same.
`

/** `docs/errors.md`: every code with its meaning and what to do, in alphabetical order, after a table to find them in. */
export function errorsPage(): string {
  const codes = (Object.keys(ERROR_KINDS) as ErrorCode[]).toSorted()
  const rows = codes.map((code) => {
    const { meaning, status, retryable } = ERROR_KINDS[code]
    return `| [\`${code}\`](#${code.toLowerCase()}) | ${status} | ${yesOrNo(retryable)} | ${cell(meaning)} |`
  })
  const table = ['| Code | HTTP | Tried again | Meaning |', '|---|---|---|---|', ...rows].join('\n')
  return `${[INTRODUCTION.trim(), table, ...codes.map(section)].join('\n\n')}\n`
}

function section(code: ErrorCode): string {
  const { meaning, status, retryable, remedy } = ERROR_KINDS[code]
  return [
    `## ${code}`,
    meaning,
    `**What to do:** ${remedy}`,
    `HTTP ${status} · tried again: ${yesOrNo(retryable)}`,
  ].join('\n\n')
}

function yesOrNo(value: boolean): string {
  return value ? 'yes' : 'no'
}

/** Text inside a table. */
function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}
