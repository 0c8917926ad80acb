// What one object says to the others while compiling: offers under topics. Who reads a topic is remembered, so that a change of its
// offers is a list of what must be looked at again. Used by compiler.ts; the kinds make their topics here.

declare const offered: unique symbol

/** Names a topic; offers under it carry a `Value`. */
export type TopicName<Value> = string & { readonly [offered]?: Value }

/** A family of topics, told apart by their parts (an address, a namespace with a label …). */
export function topic<Value>(family: string): (...parts: readonly string[]) => TopicName<Value> {
  return (...parts) => [family, ...parts].join('\0')
}

export interface Offer<Value = unknown> {
  /** formatObjectKey of the object that offers. */
  readonly key: string
  /** `namespace/name` of it. */
  readonly name: string
  /** Orders objects by age, then by name; of two that claim the same, the first wins. */
  readonly order: string
  readonly value: Value
}

export interface Topic<Reader> {
  readonly name: string
  /** The oldest object's first. */
  readonly offers: Offer[]
  readonly readers: Set<Reader>
}

/** All topics that somebody offers under or reads. */
export class Topics<Reader> {
  readonly #topics = new Map<string, Topic<Reader>>()

  get(name: string): Topic<Reader> {
    let found = this.#topics.get(name)
    if (found === undefined) {
      found = { name, offers: [], readers: new Set() }
      this.#topics.set(name, found)
    }
    return found
  }

  add(topic: Topic<Reader>, offer: Offer): void {
    topic.offers.splice(placeOf(topic.offers, offer), 0, offer)
  }

  remove(topic: Topic<Reader>, offer: Offer): void {
    // the object's new offer may stand beside its old one for a moment
    const place = topic.offers.indexOf(offer, placeOf(topic.offers, offer))
    if (place >= 0) topic.offers.splice(place, 1)
    this.#forget(topic)
  }

  unsubscribe(topic: Topic<Reader>, reader: Reader): void {
    topic.readers.delete(reader)
    this.#forget(topic)
  }

  #forget(topic: Topic<Reader>): void {
    if (topic.readers.size > 0 || topic.offers.length > 0) return
    if (this.#topics.get(topic.name) === topic) this.#topics.delete(topic.name)
  }
}

/** The first index whose offer does not come before `offer`. */
function placeOf(offers: readonly Offer[], offer: Offer): number {
  let low = 0
  let high = offers.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (comesBefore(offers[middle]!, offer)) low = middle + 1
    else high = middle
  }
  return low
}

function comesBefore(a: Offer, b: Offer): boolean {
  return a.order !== b.order ? a.order < b.order : a.key < b.key
}

export function byAge(a: Offer, b: Offer): number {
  return comesBefore(a, b) ? -1 : 1
}
