// Kubernetes' label selectors (`metav1.LabelSelector`): which labels they hold for. Used by the compile step and by the analyzer.
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly {
    readonly key: string
    readonly operator: string
    readonly values?: readonly string[]
  }[]
}

/** All conditions must hold; an empty selector holds for everything. An operator that nobody knows holds for nothing. */
export function labelsMatch(selector: LabelSelector, labels: Readonly<Record<string, string>>): boolean {
  const held = (key: string): string | undefined => (Object.hasOwn(labels, key) ? labels[key] : undefined)
  const exact = Object.entries(selector.matchLabels ?? {}).every(([key, value]) => held(key) === value)
  if (!exact) return false
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const value = held(key)
    switch (operator) {
      case 'In':
        return value !== undefined && values.includes(value)
      case 'NotIn':
        return value === undefined || !values.includes(value)
      case 'Exists':
        return value !== undefined
      case 'DoesNotExist':
        return value === undefined
      default:
        return false
    }
  })
}

/** Of a Namespace, with the name that Kubernetes gives every one of them as a label. */
export function namespaceLabels(
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Readonly<Record<string, string>> {
  return { ...labels, 'kubernetes.io/metadata.name': name }
}
