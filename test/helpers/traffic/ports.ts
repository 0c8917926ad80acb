// Where the traffic server listens; what each port does is in serve.ts.

export const trafficPorts = {
  /** Sends back what comes; the caller closes. */
  echo: 7001,
  /** Both directions at once: sends as much as the first number says and, after the caller's end, the hash of what came. */
  transfer: 7002,
  /** Reads to the caller's end, then answers with the pattern. */
  afterEnd: 7003,
  /** Says its answer and its end at once, then takes the number of the caller and reads to its end. */
  beforeEnd: 7004,
  /** What `beforeEnd` read from the caller that gave this number. */
  results: 7005,
  /** Writes for as long as somebody takes it, reads nothing. */
  pour: 7006,
  /** How many bytes the `pour` connections got rid of. */
  poured: 7009,
  /** Reads nothing. */
  deaf: 7007,
  /** Makes the deaf ones read to the end; answers with what they read. */
  wake: 7008,
} as const
