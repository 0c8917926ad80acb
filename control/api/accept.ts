// The Accept header: in which of the forms that a client takes it is answered. Pure; representation.ts and the discovery ask it.

export interface MediaRange {
  /** Lower case, without parameters. */
  readonly type: string
  readonly parameters: Readonly<Record<string, string>>
}

/** What the client takes, the best first (RFC 9110 §12.5.1); anything where the header is absent. */
export function acceptedTypes(accept: string | undefined): readonly MediaRange[] {
  if (accept === undefined || accept.trim() === '') return [{ type: '*/*', parameters: {} }]
  const ranges = accept.split(',').flatMap((entry) => {
    const [type = '', ...rest] = entry.split(';').map((part) => part.trim())
    const pairs = rest.map((part) => part.split('=', 2).map((text) => text.trim()) as [string, string?])
    const parameters = Object.fromEntries(pairs.map(([name, value = '']) => [name.toLowerCase(), value]))
    const quality = parameters['q'] === undefined ? 1 : Number(parameters['q'])
    return quality > 0 ? [{ type: type.toLowerCase(), parameters, quality }] : []
  })
  return ranges.sort((a, b) => b.quality - a.quality)
}

export const isJson = ({ type }: MediaRange): boolean => ['application/json', 'application/*', '*/*'].includes(type)
export const isYaml = ({ type }: MediaRange): boolean => type === 'application/yaml'
