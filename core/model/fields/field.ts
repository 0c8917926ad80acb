// The vocabulary of field tables: what a field is called, what it may hold and what Culvert does with it. Each kind writes one
// table with these builders; validation (../field-check.ts), conditions (../ignored.ts) and types (`ValueOf`) come from it.

/** What Culvert does with a field that somebody set. */
export type FieldUse =
  /** Takes effect at `where`. `except` names values of the field that do not, with the text for status. */
  | { readonly kind: 'enforced'; readonly where: string; readonly except?: (value: unknown) => string | undefined }
  /** Needs layer 7: a layer-4 rule that carries it fails closed (ALLOW rules are dropped, DENY rules widened). */
  | { readonly kind: 'layer7'; readonly text: string }
  /** Accepted without effect; `text` goes to `status.conditions`. */
  | { readonly kind: 'ignored'; readonly text: string }
  /** Not accepted: setting the field is an error with this text. */
  | { readonly kind: 'refused'; readonly text: string }

/** Returns what is wrong with a value of the right type, or undefined. */
export type ValueCheck<Value> = (value: Value) => string | undefined

/** Where a cross-field check reports: a path below the object, and what is wrong. */
export type Report = (path: Path, message: string, reason?: ProblemReason) => void

export type Path = readonly (string | number)[]

export type ProblemReason = 'required' | 'unknown' | 'type' | 'invalid' | 'unsupported' | 'duplicate' | 'refused'

/** A check over several fields of one object whose fields have the right types. */
export type ObjectCheck = (value: Readonly<Record<string, unknown>>, report: Report) => void

/**
 * A rule that the published CRD states in CEL (`x-kubernetes-validations`). `message` is the CRD's own, by which the oracle test
 * finds the rule; `check` decides it over an object whose fields have the right types, and reports in its own words.
 */
export interface ObjectRule {
  readonly message: string
  readonly check: ObjectCheck
}

/** A published rule of a whole list, decided over items of the right types. */
export interface ListRule<Item = Readonly<Record<string, unknown>>> {
  readonly message: string
  readonly check: (items: readonly Item[], report: Report) => void
}

interface FieldBase {
  /** One sentence for the documentation. */
  readonly text: string
  readonly use: FieldUse
  readonly required?: boolean
  /** Versions of the kind that have this field; all where absent. */
  readonly versions?: readonly string[]
  /** Versions in which the field takes another form than this one. */
  readonly forms?: Readonly<Record<string, Field>>
  /** What the server fills in at creation where the field is absent (CRD `default`). */
  readonly default?: unknown
}

/** Lengths are in UTF-16 units, as JSON Schema counts; `format` is OpenAPI's (`date-time`, `byte`, `duration`, `int64`). */
export interface StringField extends FieldBase {
  readonly type: 'string'
  readonly check?: ValueCheck<string>
  readonly minLength?: number
  readonly maxLength?: number
  /** ECMA-262, as published. */
  readonly pattern?: string
  readonly format?: string
}

/** A number that need not be whole. */
export interface NumberField extends FieldBase {
  readonly type: 'number'
  readonly min?: number
  readonly max?: number
}

/** Any JSON value, kept as it is (`x-kubernetes-preserve-unknown-fields`, `google.protobuf.Struct`). */
export interface AnyField extends FieldBase {
  readonly type: 'any'
}

/** A whole number between `min` and `max`, both included. */
export interface IntegerField extends FieldBase {
  readonly type: 'integer'
  readonly min: number
  readonly max: number
  /** The only numbers allowed. */
  readonly values?: readonly number[]
}

export interface BooleanField extends FieldBase {
  readonly type: 'boolean'
}

export interface EnumField<Values extends string = string> extends FieldBase {
  readonly type: 'enum'
  readonly values: readonly Values[]
}

/** Kubernetes IntOrString: a port number or the name of one. */
export interface IntOrStringField extends FieldBase {
  readonly type: 'int-or-string'
  /** The number need not be whole: an amount of a resource. */
  readonly fractions?: boolean
  readonly check?: ValueCheck<number | string>
}

/** What several writers of one list share: the whole (`atomic`, the default), its values (`set`) or its items by key (`map`). */
export interface ListField<Item extends Field = Field> extends FieldBase {
  readonly type: 'list'
  readonly item: Item
  readonly minItems?: number
  readonly maxItems?: number
  /** `x-kubernetes-list-type`. */
  readonly listType?: 'atomic' | 'set' | 'map'
  /** `x-kubernetes-list-map-keys`, for listType `map`. */
  readonly mapKeys?: readonly string[]
  /** Rules over the items together, each for items of the type of `item`. */
  readonly rules?: readonly ListRule<never>[]
  /** Core kinds: how a strategic merge patch treats the list (`x-kubernetes-patch-strategy`, `-patch-merge-key`). */
  readonly patch?: { readonly strategy: 'merge'; readonly mergeKey?: string }
}

export interface MapField<Value extends Field = Field> extends FieldBase {
  readonly type: 'map'
  readonly value: Value
  readonly key?: ValueCheck<string>
  readonly minItems?: number
  readonly maxItems?: number
  /** `x-kubernetes-map-type: atomic`: apply owns it as one value. */
  readonly atomic?: boolean
}

export interface ObjectField<Fields extends FieldTable = FieldTable> extends FieldBase {
  readonly type: 'object'
  readonly fields: Fields
  readonly checks?: readonly ObjectCheck[]
  readonly rules?: readonly ObjectRule[]
  /** Further fields are kept as they are (`x-kubernetes-preserve-unknown-fields` beside properties). */
  readonly open?: boolean
  /** `x-kubernetes-map-type: atomic`: apply owns it as one value. */
  readonly atomic?: boolean
}

/** Any field; the parameters of the single types only serve `ValueOf`. */
export type Field =
  | StringField
  | IntegerField
  | NumberField
  | BooleanField
  | EnumField
  | IntOrStringField
  | ListField
  | MapField
  | ObjectField
  | AnyField

export interface FieldTable {
  readonly [name: string]: Field
}

/** The TypeScript type of what a field holds, once validated. */
export type ValueOf<F> = F extends { type: 'string' }
  ? string
  : F extends { type: 'integer' | 'number' }
    ? number
    : F extends { type: 'boolean' }
      ? boolean
      : F extends { type: 'enum'; values: readonly (infer Value)[] }
        ? Value
        : F extends { type: 'int-or-string' }
          ? number | string
          : F extends { type: 'list'; item: infer Item }
            ? readonly ValueOf<Item>[]
            : F extends { type: 'map'; value: infer Value }
              ? Readonly<Record<string, ValueOf<Value>>>
              : F extends { type: 'object'; fields: infer Fields }
                ? ObjectOf<Fields>
                : F extends { type: 'any' }
                  ? unknown
                  : never

type RequiredNames<Fields> = {
  [Name in keyof Fields]: Fields[Name] extends { required: true } ? Name : never
}[keyof Fields]

export type ObjectOf<Fields> = {
  readonly [Name in RequiredNames<Fields>]: ValueOf<Fields[Name]>
} & {
  readonly [Name in Exclude<keyof Fields, RequiredNames<Fields>>]?: ValueOf<Fields[Name]>
}

/** The field as a version of its kind has it; undefined where that version lacks it. */
export function fieldAt(field: Field, version: string): Field | undefined {
  return field.versions?.includes(version) === false ? undefined : (field.forms?.[version] ?? field)
}

/** The fields of a table that a version has, in its forms. */
export function fieldsAt(table: FieldTable, version: string): readonly (readonly [string, Field])[] {
  return Object.entries(table).flatMap(([name, field]) => {
    const form = fieldAt(field, version)
    return form === undefined ? [] : [[name, form] as const]
  })
}

export function enforced(where: string, except?: (value: unknown) => string | undefined): FieldUse {
  return except === undefined ? { kind: 'enforced', where } : { kind: 'enforced', where, except }
}

export function ignored(text: string): FieldUse {
  return { kind: 'ignored', text }
}

export function refused(text: string): FieldUse {
  return { kind: 'refused', text }
}

export function layer7(text: string): FieldUse {
  return { kind: 'layer7', text }
}

/** For the parts of a list or map, whose use is that of the whole. */
export const asWhole: FieldUse = { kind: 'enforced', where: 'as the whole' }
