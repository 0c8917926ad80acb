// What the control plane tells of: a thing that happened to an object or a host. EventRecorder makes a core/v1 Event of it.

/** What an event is about: an object of the store, or something that is only talked of, such as a host. */
export interface EventSubject {
  readonly apiVersion: string
  readonly kind: string
  /** Empty for what has no namespace. */
  readonly namespace: string
  readonly name: string
  readonly uid?: string | undefined
}

export interface MeshEvent {
  readonly object: EventSubject
  readonly type: 'Normal' | 'Warning'
  /** One word in upper camel case, for programs. */
  readonly reason: string
  /** For people. */
  readonly message: string
}
